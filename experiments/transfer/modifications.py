"""Do modifications transfer? The 52 rows of `frugal.transfer`, pre-trained, timed and fine-tuned.

After narang2021modifications, table 1, at the size of a book. Every row, and the repaired form of
every row that was confounded in the original, is pre-trained by span corruption (raffel2020t5) on
docstrings of the libraries that this book pins, and then fine-tuned on four tasks: the summary line
of a docstring, the library it is from, the default of a parameter, and written dates for ISO dates.
All have the settings that vanilla was given, the learning rate included, as in the paper; nothing
is tuned for a row.

The record
    settings: by the name of the row, as in `frugal.transfer.names()`, and `NAME.repaired` for the
    intended form of a row that was confounded. Each says `row`, `repaired` and `family` (the
    category of the paper's table). Vanilla and the six rows that beat it in all five columns of the
    paper (`WINNERS`) have `MORE` seeds, the others what `--seeds` says.

    values of a run, numbers unless said otherwise:
    early_loss, final_loss: loss of the validation texts in nats per token after `EARLY` and after
        `UPDATES` updates; the same numbers stand in curve.
    curve, moments (lists): that loss, and the updates made when it was read.
    loss_by_seconds (list of pairs): seconds of the processor in updates so far, and that loss;
        a fast model goes on after `UPDATES` until vanilla's time is over.
    loss_equal_seconds: that loss when the model had taken as long as vanilla takes for `UPDATES`
        updates, between two moments by a straight line.
    updates_per_second: by the processor's time, evaluations left out.
    vanilla_per_second: the same of a vanilla model that ran beside it, a few updates in turn.
    speed: the first over the second. Compare rows by this: a busy machine slows both.
    parameters; flops: of a forward pass of one example and its loss, two per product, counted as
        the paper's "Ops" are (`frugal.transfer.counting`).
    summary, library, default, dates: the score of each task after fine-tuning, 0 to 1: ROUGE of the
        greedily written line against the author's, then the share of right answers.
    summary_loss, library_loss, default_loss, dates_loss: nats per token of the test answers.
    summary_baseline, ...: the score of the most frequent answer of the training data.
    unigram: nats per token of a model that knows only how frequent tokens are.
    diverged: 1 where the loss was not finite; then the numbers that are missing are null.

    `Result.data` says what was read: package versions, sizes, and a hash of the texts.
"""

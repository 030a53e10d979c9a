"""Runs the chapters that have to run, several at a time, before Sphinx reads them one by one.

What comes out lies in the chapters' caches, where their pages find it. A chapter that fails is left
for its page, which runs it again and says why.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from sphinx.util import logging

_MOST = 4  # chapters compare times: too many neighbours would disturb them
logger = logging.getLogger(__name__)


def execute_ahead(chapters: Sequence[tuple[str, str]], md_config: Any, nb_config: Any) -> None:
    """Fill the caches of chapters. With one chapter, or one core, there is nothing to gain.

    chapters: path of each and the folder of its cache. md_config, nb_config: of myst-nb.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    workers = min(len(chapters), cores or 1, _MOST)
    if workers < 2:
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        running = {
            pool.submit(_execute, path, md_config, nb_config.copy(execution_cache_path=cache)): path
            for path, cache in chapters
        }
        for count, done in enumerate(as_completed(running), start=1):
            path = running[done]
            logger.info("%s: Executing notebook ahead, %d of %d", path, count, len(running))
            if done.exception():
                logger.info("%s: left for its page: %s", path, done.exception())


def _execute(path: str, md_config: Any, nb_config: Any) -> None:
    import logging as standard

    from myst_nb.core.execute import create_client
    from myst_nb.core.read import create_nb_reader

    text = Path(path).read_text(encoding="utf-8")
    reader = create_nb_reader(path, md_config, nb_config, text)
    if reader is None:
        return
    quiet = standard.getLogger(__name__)
    quiet.setLevel(standard.CRITICAL)
    with create_client(reader.read(text), path, nb_config, quiet, reader.read_fmt):
        pass

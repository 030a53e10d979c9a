// The formulas of frugal.tokens.cost, on numbers.

// A layer whose queries may be fewer than its keys.
export function layerFlops(queries, keys, { dModel, dFf }) {
  return (
    4 * (queries + keys) * dModel ** 2 +
    4 * queries * keys * dModel +
    4 * queries * dModel * dFf
  );
}

// Every layer of a funnel, first to last: its block (null in the decoder), queries, keys, FLOPs.
export function funnelLayers(length, blocks, decoderLayers, widths) {
  const layers = [];
  const add = (block, queries, keys) =>
    layers.push({ block, queries, keys, flops: layerFlops(queries, keys, widths) });
  let tokens = length;
  blocks.forEach((size, block) => {
    const before = tokens;
    if (block > 0) tokens = Math.ceil(tokens / 2);
    for (let index = 0; index < size; index += 1) add(block, tokens, index > 0 ? tokens : before);
  });
  for (let index = 0; index < decoderLayers; index += 1) add(null, length, length);
  return layers;
}

// The three steps of a Perceiver that runs `layers` layers on its latents.
export function perceiverFlops(inputs, latents, outputs, layers, widths) {
  return {
    encode: layerFlops(latents, inputs, widths),
    process: layers * layerFlops(latents, latents, widths),
    decode: layerFlops(outputs, latents, widths),
  };
}

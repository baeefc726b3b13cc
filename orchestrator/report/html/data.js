// The numbers of the page, from the bytes that were unpacked.
let stored, known = new Map();

// First all first bytes of the numbers, then all second ones, and so on.
function buffer([from, to], size) {
  const planes = new Uint8Array(stored, from, to - from), count = planes.length / size, bytes = new Uint8Array(planes.length);
  for (let plane = 0; plane < size; plane++)
    for (let index = 0; index < count; index++) bytes[index * size + plane] = planes[plane * count + index];
  return bytes.buffer;
}

function decode(value) {
  if (Array.isArray(value)) return value.map(plain);
  if (value.u1 !== undefined) return { ...value, steps: new Uint8Array(stored, value.u1[0], value.u1[1] - value.u1[0]), values: decode(value.values) };
  if (value.u2 !== undefined) return { ...value, steps: new Uint16Array(buffer(value.u2, 2)) };
  const kind = value.f8 !== undefined ? "f8" : "f4", name = `${kind} ${value[kind][0]} ${value.per}`;
  const numbers = () => kind === "f8" ? new Float64Array(buffer(value.f8, 8)) : new Float32Array(buffer(value.f4, 4));
  if (!known.has(name)) known.set(name, Array.from(numbers(), number => Number.isFinite(number) ? number / (value.per || 1) : null));
  return known.get(name);
}

// The numbers of a line; of one that moves, those at a place of the slider.
function values(value, row) {
  if (!value.steps) return value;
  const line = value.steps.length > value.width ? row : 0, from = value.steps.subarray(line * value.width, (line + 1) * value.width);
  return Array.from(from, step => value.values ? value.values[step] ?? null : step === 65535 ? null : value.low + step * value.step);
}

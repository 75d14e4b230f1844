// Numbers and times as people read them.

/** A number with as many digits as tell something; with an exponent where it would mostly be noughts. */
export function plain(value, digits = 3) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e6) return value.toLocaleString("en");
  if (size >= 1e15 || size < 1e-9) return value.toLocaleString("en", { notation: "scientific", maximumSignificantDigits: digits });
  return value.toLocaleString("en", { maximumSignificantDigits: Math.max(digits, Math.ceil(Math.log10(size))) });
}

/** A probability; what is neither 0 nor 1 is not shown as either. */
export function percent(share) {
  if (share > 0.9994) return share < 1 ? ">99.9%" : "100%";
  if (share < 0.0005) return share > 0 ? "<0.1%" : "0%";
  return `${(100 * share).toFixed(share < 0.0995 || share > 0.994 ? 1 : 0)}%`;
}

/** A level as 90%. */
export const level = (share) => `${plain(100 * share)}%`;

/** Milliseconds. */
export const milliseconds = (value) => (Number.isFinite(value) ? `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ms` : "–");

/** A digest short enough to read out. */
export const short = (digest) => digest.replace(/^(\w+:)?(.{10}).*$/, "$2…");

/** Round numbers across a range, about so many. */
export function ticks(low, high, about = 5) {
  const raw = (high - low) / about;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((digit) => digit * power >= raw) * power;
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => +((first + i) * step).toPrecision(12));
}

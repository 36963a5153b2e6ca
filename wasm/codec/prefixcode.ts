/**
 * Making the Huffman codes of an encoder (RFC 1951, sections 3.2.1 and 3.2.2). A code is a u32: its bits in the order of
 * the stream (first bit lowest) << 5 | their number; 0: the symbol does not occur.
 */

const MAX_SYMBOLS: i32 = 288;
const MAX_BITS: i32 = 15;

/** The symbols that occur, by frequency: frequency << 9 | symbol, u32. */
const KEYS: usize = memory.data(MAX_SYMBOLS * 4, 16);
/** Weights, then links, then depths of the tree's nodes, u32. */
const NODES: usize = memory.data(MAX_SYMBOLS * 4, 16);
/** Number of codes of each length, u32. */
const COUNTS: usize = memory.data(MAX_SYMBOLS * 4, 16);
/** The next code of each length, u32. */
const NEXT: usize = memory.data((MAX_BITS + 1) * 4, 16);


@inline
function at(table: usize, index: i32): u32 {
  return load<u32>(table + ((<usize>index) << 2));
}


@inline
function put(table: usize, index: i32, value: u32): void {
  store<u32>(table + ((<usize>index) << 2), value);
}

/**
 * The lengths of the best code for symbols that occur so often.
 *
 * Two symbols get a code at least, though they do not occur: a code of one symbol, or of none, is allowed for distances
 * alone, and not every decoder takes it even there.
 *
 * @param counts   u32 each, below 2^23 in sum
 * @param symbols  up to 288, at least 2
 * @param maxBits  the longest code allowed, up to 15; 2^maxBits must not be less than the number of symbols
 * @param lengths  where to, one byte a symbol
 */
export function assignLengths(counts: usize, symbols: i32, maxBits: i32, lengths: usize): void {
  memory.fill(lengths, 0, symbols);
  let n = 0;
  for (let symbol = 0; symbol < symbols; symbol++) {
    const count = at(counts, symbol);
    if (count) put(KEYS, n++, (count << 9) | symbol);
  }
  for (let symbol = 0; n < 2; symbol++) {
    if (!at(counts, symbol)) put(KEYS, n++, (1 << 9) | symbol);
  }
  sortKeys(n);
  countDepths(n);
  limitDepths(n, maxBits);
  // The rarest symbols get the longest codes.
  let next = 0;
  for (let length = maxBits; length > 0; length--) {
    for (let left = at(COUNTS, length); left > 0; left--) {
      store<u8>(lengths + (at(KEYS, next++) & 511), length);
    }
  }
}

/** Shell sort, ascending. */
function sortKeys(n: i32): void {
  for (
    let gap = n > 40 ? 40 : n > 13 ? 13 : n > 4 ? 4 : 1;
    gap > 0;
    gap = gap === 40 ? 13 : gap === 13 ? 4 : gap >> 2
  ) {
    for (let i = gap; i < n; i++) {
      const key = at(KEYS, i);
      let j = i;
      for (; j >= gap && at(KEYS, j - gap) > key; j -= gap) put(KEYS, j, at(KEYS, j - gap));
      put(KEYS, j, key);
    }
  }
}

/**
 * Puts into COUNTS how many leaves of the Huffman tree of KEYS are at each depth (Moffat and Katajainen, In-place
 * calculation of minimum-redundancy codes, 1995): the weights of the inner nodes are made in ascending order, and take
 * the place of those of leaves that are used up; each is replaced by a link to its parent, and that by its depth.
 */
function countDepths(n: i32): void {
  for (let i = 0; i < n; i++) put(NODES, i, at(KEYS, i) >>> 9);
  put(NODES, 0, at(NODES, 0) + at(NODES, 1));
  let root = 0;
  let leaf = 2;
  for (let next = 1; next < n - 1; next++) {
    let weight: u32;
    if (leaf >= n || at(NODES, root) < at(NODES, leaf)) {
      weight = at(NODES, root);
      put(NODES, root++, next);
    } else {
      weight = at(NODES, leaf++);
    }
    if (leaf >= n || (root < next && at(NODES, root) < at(NODES, leaf))) {
      weight += at(NODES, root);
      put(NODES, root++, next);
    } else {
      weight += at(NODES, leaf++);
    }
    put(NODES, next, weight);
  }
  put(NODES, n - 2, 0);
  for (let next = n - 3; next >= 0; next--) put(NODES, next, at(NODES, at(NODES, next)) + 1);

  memory.fill(COUNTS, 0, MAX_SYMBOLS * 4);
  let places = 1;
  let left = n;
  root = n - 2;
  for (let depth = 0; left > 0; depth++) {
    let inner = 0;
    for (; root >= 0 && at(NODES, root) === <u32>depth; root--) inner++;
    put(COUNTS, depth, places - inner);
    left -= places - inner;
    places = inner << 1;
  }
}

/** Changes COUNTS so that no code is longer than `maxBits` and all codes still fit. */
function limitDepths(n: i32, maxBits: i32): void {
  let deeper: u32 = 0;
  for (let depth = maxBits + 1; depth < n; depth++) deeper += at(COUNTS, depth);
  if (!deeper) return;
  put(COUNTS, maxBits, at(COUNTS, maxBits) + deeper);
  let taken: u32 = 0;
  for (let length = 1; length <= maxBits; length++) taken += at(COUNTS, length) << (maxBits - length);
  // One code of the longest kind goes beside a shorter one, which grows by a bit: that frees the place of one.
  for (; taken > (<u32>1) << maxBits; taken--) {
    let length = maxBits - 1;
    while (!at(COUNTS, length)) length--;
    put(COUNTS, maxBits, at(COUNTS, maxBits) - 1);
    put(COUNTS, length, at(COUNTS, length) - 1);
    put(COUNTS, length + 1, at(COUNTS, length + 1) + 2);
  }
}

/** The code of each symbol from the lengths (RFC 1951, 3.2.2). */
export function makeCodes(lengths: usize, symbols: i32, codes: usize): void {
  memory.fill(COUNTS, 0, (MAX_BITS + 1) * 4);
  for (let symbol = 0; symbol < symbols; symbol++) {
    const length = load<u8>(lengths + symbol);
    put(COUNTS, length, at(COUNTS, length) + 1);
  }
  put(COUNTS, 0, 0);
  let code: u32 = 0;
  for (let length = 1; length <= MAX_BITS; length++) {
    code = (code + at(COUNTS, length - 1)) << 1;
    put(NEXT, length, code);
  }
  for (let symbol = 0; symbol < symbols; symbol++) {
    const length: u32 = load<u8>(lengths + symbol);
    if (!length) {
      put(codes, symbol, 0);
      continue;
    }
    code = at(NEXT, length);
    put(NEXT, length, code + 1);
    put(codes, symbol, (reverse(code, length) << 5) | length);
  }
}

/** The low `length` bits in the other order. */
function reverse(bits: u32, length: u32): u32 {
  let result: u32 = 0;
  for (; length > 0; length--) {
    result = (result << 1) | (bits & 1);
    bits >>= 1;
  }
  return result;
}

/** Bits that symbols take which occur so often. */
export function countBits(counts: usize, symbols: i32, codes: usize): i32 {
  let bits: u32 = 0;
  for (let symbol = 0; symbol < symbols; symbol++) bits += at(counts, symbol) * (at(codes, symbol) & 31);
  return bits;
}

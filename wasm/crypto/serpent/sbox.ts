/**
 * The S-boxes of Serpent on bit planes: bit i of the 4-bit value is in plane i. Each is the algebraic normal form of its table
 * in the specification, with common parts taken once; so time does not depend on data.
 */

function sbox0(at: usize): void {
  const a = v128.load(at, 0);
  const b = v128.load(at, 16);
  const c = v128.load(at, 32);
  const d = v128.load(at, 48);
  const ab = v128.and(a, b);
  const ac = v128.and(a, c);
  const bc = v128.and(b, c);
  const ad = v128.and(a, d);
  const bd = v128.and(b, d);
  const abc = v128.and(ac, b);
  const acd = v128.and(ac, d);
  const bcd = v128.and(bd, c);
  const t0 = v128.xor(abc, bcd);
  const t1 = v128.xor(ac, t0);
  const t2 = v128.xor(ab, t1);
  const t3 = v128.xor(acd, bc);
  const t4 = v128.xor(c, d);
  const t5 = v128.xor(a, t4);
  const t6 = v128.xor(bd, t1);
  const t7 = v128.xor(b, t2);
  const t8 = v128.xor(t3, t5);
  const t9 = v128.xor(bd, d);
  const t10 = v128.xor(a, t6);
  const t11 = v128.xor(t2, t8);
  const t12 = v128.xor(b, t5);
  const t13 = v128.xor(t7, t9);
  const t14 = v128.xor(t10, t3);
  const t15 = v128.xor(ad, t12);
  v128.store(at, v128.not(t11), 0);
  v128.store(at, v128.not(t14), 16);
  v128.store(at, t13, 32);
  v128.store(at, t15, 48);
}

function sbox1(at: usize): void {
  const a = v128.load(at, 0);
  const b = v128.load(at, 16);
  const c = v128.load(at, 32);
  const d = v128.load(at, 48);
  const ab = v128.and(a, b);
  const ac = v128.and(a, c);
  const bc = v128.and(b, c);
  const ad = v128.and(a, d);
  const bd = v128.and(b, d);
  const cd = v128.and(c, d);
  const abd = v128.and(bd, a);
  const acd = v128.and(ac, d);
  const bcd = v128.and(cd, b);
  const t0 = v128.xor(acd, bcd);
  const t1 = v128.xor(ad, b);
  const t2 = v128.xor(ac, d);
  const t3 = v128.xor(abd, t0);
  const t4 = v128.xor(t2, t3);
  const t5 = v128.xor(ab, c);
  const t6 = v128.xor(bc, t1);
  const t7 = v128.xor(cd, t0);
  const t8 = v128.xor(bd, t5);
  const t9 = v128.xor(a, t6);
  const t10 = v128.xor(d, t5);
  const t11 = v128.xor(t4, t8);
  const t12 = v128.xor(t7, t9);
  const t13 = v128.xor(t1, t4);
  const t14 = v128.xor(b, t10);
  const t15 = v128.xor(a, t11);
  v128.store(at, v128.not(t12), 0);
  v128.store(at, v128.not(t15), 16);
  v128.store(at, v128.not(t14), 32);
  v128.store(at, v128.not(t13), 48);
}

function sbox2(at: usize): void {
  const a = v128.load(at, 0);
  const b = v128.load(at, 16);
  const c = v128.load(at, 32);
  const d = v128.load(at, 48);
  const ac = v128.and(a, c);
  const bc = v128.and(b, c);
  const ad = v128.and(a, d);
  const bd = v128.and(b, d);
  const cd = v128.and(c, d);
  const abc = v128.and(ac, b);
  const abd = v128.and(ad, b);
  const acd = v128.and(cd, a);
  const t0 = v128.xor(a, b);
  const t1 = v128.xor(acd, t0);
  const t2 = v128.xor(abd, t1);
  const t3 = v128.xor(cd, t2);
  const t4 = v128.xor(bc, t3);
  const t5 = v128.xor(abc, c);
  const t6 = v128.xor(c, d);
  const t7 = v128.xor(bd, t0);
  const t8 = v128.xor(ad, t4);
  const t9 = v128.xor(b, t6);
  const t10 = v128.xor(bd, d);
  const t11 = v128.xor(t5, t8);
  const t12 = v128.xor(ac, t9);
  const t13 = v128.xor(t5, t7);
  const t14 = v128.xor(t10, t4);
  v128.store(at, t12, 0);
  v128.store(at, t11, 16);
  v128.store(at, t14, 32);
  v128.store(at, v128.not(t13), 48);
}

function sbox3(at: usize): void {
  const a = v128.load(at, 0);
  const b = v128.load(at, 16);
  const c = v128.load(at, 32);
  const d = v128.load(at, 48);
  const ab = v128.and(a, b);
  const ac = v128.and(a, c);
  const bc = v128.and(b, c);
  const ad = v128.and(a, d);
  const bd = v128.and(b, d);
  const cd = v128.and(c, d);
  const abc = v128.and(ac, b);
  const abd = v128.and(ad, b);
  const acd = v128.and(cd, a);
  const bcd = v128.and(bd, c);
  const t0 = v128.xor(acd, b);
  const t1 = v128.xor(cd, t0);
  const t2 = v128.xor(a, t1);
  const t3 = v128.xor(ab, c);
  const t4 = v128.xor(abc, d);
  const t5 = v128.xor(ac, t2);
  const t6 = v128.xor(t3, t4);
  const t7 = v128.xor(abd, bd);
  const t8 = v128.xor(bc, bcd);
  const t9 = v128.xor(d, t8);
  const t10 = v128.xor(t2, t9);
  const t11 = v128.xor(abd, ad);
  const t12 = v128.xor(t6, t7);
  const t13 = v128.xor(a, t12);
  const t14 = v128.xor(t5, t6);
  const t15 = v128.xor(ad, t10);
  const t16 = v128.xor(t11, t5);
  v128.store(at, t15, 0);
  v128.store(at, t16, 16);
  v128.store(at, t13, 32);
  v128.store(at, t14, 48);
}

function sbox4(at: usize): void {
  const a = v128.load(at, 0);
  const b = v128.load(at, 16);
  const c = v128.load(at, 32);
  const d = v128.load(at, 48);
  const ab = v128.and(a, b);
  const ac = v128.and(a, c);
  const bc = v128.and(b, c);
  const ad = v128.and(a, d);
  const bd = v128.and(b, d);
  const cd = v128.and(c, d);
  const abc = v128.and(ac, b);
  const abd = v128.and(ad, b);
  const acd = v128.and(cd, a);
  const bcd = v128.and(bd, c);
  const t0 = v128.xor(bc, bd);
  const t1 = v128.xor(a, t0);
  const t2 = v128.xor(bcd, cd);
  const t3 = v128.xor(c, t1);
  const t4 = v128.xor(abd, t3);
  const t5 = v128.xor(ad, b);
  const t6 = v128.xor(acd, t2);
  const t7 = v128.xor(bd, c);
  const t8 = v128.xor(d, t1);
  const t9 = v128.xor(d, t7);
  const t10 = v128.xor(t4, t5);
  const t11 = v128.xor(ab, t9);
  const t12 = v128.xor(t2, t4);
  const t13 = v128.xor(abc, t12);
  const t14 = v128.xor(ac, t8);
  const t15 = v128.xor(ab, t13);
  const t16 = v128.xor(t11, t5);
  const t17 = v128.xor(t14, t6);
  v128.store(at, v128.not(t16), 0);
  v128.store(at, t17, 16);
  v128.store(at, t15, 32);
  v128.store(at, t10, 48);
}

function sbox5(at: usize): void {
  const a = v128.load(at, 0);
  const b = v128.load(at, 16);
  const c = v128.load(at, 32);
  const d = v128.load(at, 48);
  const ab = v128.and(a, b);
  const ac = v128.and(a, c);
  const ad = v128.and(a, d);
  const bd = v128.and(b, d);
  const cd = v128.and(c, d);
  const abc = v128.and(ab, c);
  const abd = v128.and(ad, b);
  const acd = v128.and(cd, a);
  const bcd = v128.and(bd, c);
  const t0 = v128.xor(c, d);
  const t1 = v128.xor(a, t0);
  const t2 = v128.xor(abd, cd);
  const t3 = v128.xor(ad, b);
  const t4 = v128.xor(ab, bd);
  const t5 = v128.xor(bcd, d);
  const t6 = v128.xor(ac, acd);
  const t7 = v128.xor(acd, t3);
  const t8 = v128.xor(t3, t4);
  const t9 = v128.xor(b, t2);
  const t10 = v128.xor(t1, t4);
  const t11 = v128.xor(t10, t2);
  const t12 = v128.xor(abc, t1);
  const t13 = v128.xor(t5, t9);
  const t14 = v128.xor(t12, t7);
  const t15 = v128.xor(t0, t8);
  const t16 = v128.xor(t13, t6);
  v128.store(at, v128.not(t15), 0);
  v128.store(at, v128.not(t11), 16);
  v128.store(at, v128.not(t16), 32);
  v128.store(at, v128.not(t14), 48);
}

function sbox6(at: usize): void {
  const a = v128.load(at, 0);
  const b = v128.load(at, 16);
  const c = v128.load(at, 32);
  const d = v128.load(at, 48);
  const ab = v128.and(a, b);
  const ac = v128.and(a, c);
  const bc = v128.and(b, c);
  const ad = v128.and(a, d);
  const bd = v128.and(b, d);
  const cd = v128.and(c, d);
  const abc = v128.and(ac, b);
  const abd = v128.and(ad, b);
  const bcd = v128.and(cd, b);
  const t0 = v128.xor(b, c);
  const t1 = v128.xor(abc, bcd);
  const t2 = v128.xor(ac, t0);
  const t3 = v128.xor(abd, t1);
  const t4 = v128.xor(d, t2);
  const t5 = v128.xor(bc, t3);
  const t6 = v128.xor(a, t5);
  const t7 = v128.xor(ab, cd);
  const t8 = v128.xor(bd, t7);
  const t9 = v128.xor(c, t6);
  const t10 = v128.xor(t4, t6);
  const t11 = v128.xor(t4, t7);
  const t12 = v128.xor(t8, t9);
  const t13 = v128.xor(ad, t0);
  const t14 = v128.xor(t1, t11);
  v128.store(at, v128.not(t10), 0);
  v128.store(at, v128.not(t13), 16);
  v128.store(at, v128.not(t12), 32);
  v128.store(at, t14, 48);
}

function sbox7(at: usize): void {
  const a = v128.load(at, 0);
  const b = v128.load(at, 16);
  const c = v128.load(at, 32);
  const d = v128.load(at, 48);
  const ab = v128.and(a, b);
  const ac = v128.and(a, c);
  const bc = v128.and(b, c);
  const ad = v128.and(a, d);
  const bd = v128.and(b, d);
  const cd = v128.and(c, d);
  const abc = v128.and(ac, b);
  const abd = v128.and(ad, b);
  const acd = v128.and(cd, a);
  const bcd = v128.and(bd, c);
  const t0 = v128.xor(ad, c);
  const t1 = v128.xor(b, t0);
  const t2 = v128.xor(ac, t1);
  const t3 = v128.xor(a, abc);
  const t4 = v128.xor(bcd, bd);
  const t5 = v128.xor(ab, acd);
  const t6 = v128.xor(abd, d);
  const t7 = v128.xor(t2, t5);
  const t8 = v128.xor(t0, t5);
  const t9 = v128.xor(t2, t3);
  const t10 = v128.xor(cd, t8);
  const t11 = v128.xor(t4, t6);
  const t12 = v128.xor(t11, t3);
  const t13 = v128.xor(bc, t7);
  const t14 = v128.xor(t1, t12);
  const t15 = v128.xor(t10, t4);
  const t16 = v128.xor(t13, t6);
  v128.store(at, v128.not(t15), 0);
  v128.store(at, t16, 16);
  v128.store(at, t14, 32);
  v128.store(at, t9, 48);
}

function inverse0(at: usize): void {
  const a = v128.load(at, 0);
  const b = v128.load(at, 16);
  const c = v128.load(at, 32);
  const d = v128.load(at, 48);
  const ab = v128.and(a, b);
  const ac = v128.and(a, c);
  const bc = v128.and(b, c);
  const ad = v128.and(a, d);
  const bd = v128.and(b, d);
  const cd = v128.and(c, d);
  const abd = v128.and(ad, b);
  const acd = v128.and(ad, c);
  const bcd = v128.and(cd, b);
  const t0 = v128.xor(acd, bcd);
  const t1 = v128.xor(c, t0);
  const t2 = v128.xor(bd, t1);
  const t3 = v128.xor(a, b);
  const t4 = v128.xor(abd, cd);
  const t5 = v128.xor(bc, t4);
  const t6 = v128.xor(ab, t3);
  const t7 = v128.xor(ac, t2);
  const t8 = v128.xor(ad, t5);
  const t9 = v128.xor(c, d);
  const t10 = v128.xor(t2, t8);
  const t11 = v128.xor(t3, t7);
  const t12 = v128.xor(a, t5);
  const t13 = v128.xor(t0, t12);
  const t14 = v128.xor(d, t13);
  const t15 = v128.xor(ab, t10);
  const t16 = v128.xor(t6, t9);
  v128.store(at, v128.not(t15), 0);
  v128.store(at, t11, 16);
  v128.store(at, v128.not(t16), 32);
  v128.store(at, v128.not(t14), 48);
}

function inverse1(at: usize): void {
  const a = v128.load(at, 0);
  const b = v128.load(at, 16);
  const c = v128.load(at, 32);
  const d = v128.load(at, 48);
  const ab = v128.and(a, b);
  const ac = v128.and(a, c);
  const bc = v128.and(b, c);
  const ad = v128.and(a, d);
  const bd = v128.and(b, d);
  const abc = v128.and(ac, b);
  const acd = v128.and(ac, d);
  const bcd = v128.and(bd, c);
  const t0 = v128.xor(abc, b);
  const t1 = v128.xor(acd, t0);
  const t2 = v128.xor(bd, d);
  const t3 = v128.xor(bcd, t1);
  const t4 = v128.xor(c, t2);
  const t5 = v128.xor(a, d);
  const t6 = v128.xor(ad, t3);
  const t7 = v128.xor(ac, t1);
  const t8 = v128.xor(a, t3);
  const t9 = v128.xor(bc, t5);
  const t10 = v128.xor(ab, t8);
  const t11 = v128.xor(bd, t10);
  const t12 = v128.xor(a, t4);
  const t13 = v128.xor(t7, t9);
  const t14 = v128.xor(t4, t6);
  v128.store(at, v128.not(t11), 0);
  v128.store(at, t14, 16);
  v128.store(at, v128.not(t13), 32);
  v128.store(at, t12, 48);
}

function inverse2(at: usize): void {
  const a = v128.load(at, 0);
  const b = v128.load(at, 16);
  const c = v128.load(at, 32);
  const d = v128.load(at, 48);
  const ab = v128.and(a, b);
  const bc = v128.and(b, c);
  const ad = v128.and(a, d);
  const bd = v128.and(b, d);
  const cd = v128.and(c, d);
  const abc = v128.and(ab, c);
  const abd = v128.and(ad, b);
  const acd = v128.and(cd, a);
  const t0 = v128.xor(ab, acd);
  const t1 = v128.xor(ad, t0);
  const t2 = v128.xor(bd, c);
  const t3 = v128.xor(abd, t1);
  const t4 = v128.xor(a, t2);
  const t5 = v128.xor(bc, d);
  const t6 = v128.xor(b, t3);
  const t7 = v128.xor(abc, t0);
  const t8 = v128.xor(c, cd);
  const t9 = v128.xor(bc, t4);
  const t10 = v128.xor(d, t3);
  const t11 = v128.xor(t6, t8);
  const t12 = v128.xor(b, t9);
  const t13 = v128.xor(t5, t7);
  const t14 = v128.xor(t10, t4);
  v128.store(at, t12, 0);
  v128.store(at, t11, 16);
  v128.store(at, v128.not(t14), 32);
  v128.store(at, v128.not(t13), 48);
}

function inverse3(at: usize): void {
  const a = v128.load(at, 0);
  const b = v128.load(at, 16);
  const c = v128.load(at, 32);
  const d = v128.load(at, 48);
  const ab = v128.and(a, b);
  const ac = v128.and(a, c);
  const bc = v128.and(b, c);
  const ad = v128.and(a, d);
  const bd = v128.and(b, d);
  const cd = v128.and(c, d);
  const abc = v128.and(ac, b);
  const abd = v128.and(ad, b);
  const acd = v128.and(cd, a);
  const bcd = v128.and(bd, c);
  const t0 = v128.xor(ad, c);
  const t1 = v128.xor(bcd, t0);
  const t2 = v128.xor(abc, b);
  const t3 = v128.xor(ac, cd);
  const t4 = v128.xor(bc, t1);
  const t5 = v128.xor(d, t4);
  const t6 = v128.xor(abd, t3);
  const t7 = v128.xor(ab, bd);
  const t8 = v128.xor(acd, t5);
  const t9 = v128.xor(t2, t8);
  const t10 = v128.xor(ad, t6);
  const t11 = v128.xor(t2, t6);
  const t12 = v128.xor(t10, t7);
  const t13 = v128.xor(bd, t5);
  const t14 = v128.xor(acd, t12);
  const t15 = v128.xor(a, t13);
  const t16 = v128.xor(bc, t14);
  const t17 = v128.xor(t0, t11);
  const t18 = v128.xor(a, t17);
  v128.store(at, t15, 0);
  v128.store(at, t9, 16);
  v128.store(at, t16, 32);
  v128.store(at, t18, 48);
}

function inverse4(at: usize): void {
  const a = v128.load(at, 0);
  const b = v128.load(at, 16);
  const c = v128.load(at, 32);
  const d = v128.load(at, 48);
  const ab = v128.and(a, b);
  const ac = v128.and(a, c);
  const ad = v128.and(a, d);
  const bd = v128.and(b, d);
  const cd = v128.and(c, d);
  const abc = v128.and(ab, c);
  const abd = v128.and(ad, b);
  const acd = v128.and(cd, a);
  const t0 = v128.xor(ad, c);
  const t1 = v128.xor(abd, b);
  const t2 = v128.xor(d, t0);
  const t3 = v128.xor(cd, t1);
  const t4 = v128.xor(ab, ac);
  const t5 = v128.xor(acd, t2);
  const t6 = v128.xor(bd, t4);
  const t7 = v128.xor(a, d);
  const t8 = v128.xor(t0, t3);
  const t9 = v128.xor(t3, t5);
  const t10 = v128.xor(abc, t6);
  const t11 = v128.xor(c, t1);
  const t12 = v128.xor(a, t9);
  const t13 = v128.xor(ab, t8);
  const t14 = v128.xor(t10, t7);
  const t15 = v128.xor(t4, t5);
  const t16 = v128.xor(t11, t14);
  v128.store(at, v128.not(t12), 0);
  v128.store(at, t15, 16);
  v128.store(at, v128.not(t16), 32);
  v128.store(at, t13, 48);
}

function inverse5(at: usize): void {
  const a = v128.load(at, 0);
  const b = v128.load(at, 16);
  const c = v128.load(at, 32);
  const d = v128.load(at, 48);
  const ab = v128.and(a, b);
  const ac = v128.and(a, c);
  const bc = v128.and(b, c);
  const ad = v128.and(a, d);
  const bd = v128.and(b, d);
  const abc = v128.and(ac, b);
  const abd = v128.and(ad, b);
  const acd = v128.and(ad, c);
  const t0 = v128.xor(a, abd);
  const t1 = v128.xor(abc, b);
  const t2 = v128.xor(ad, t1);
  const t3 = v128.xor(ab, c);
  const t4 = v128.xor(bc, t0);
  const t5 = v128.xor(d, t4);
  const t6 = v128.xor(acd, t3);
  const t7 = v128.xor(bd, t6);
  const t8 = v128.xor(ac, t5);
  const t9 = v128.xor(t2, t3);
  const t10 = v128.xor(t2, t8);
  const t11 = v128.xor(t0, t7);
  v128.store(at, t5, 0);
  v128.store(at, t10, 16);
  v128.store(at, t11, 32);
  v128.store(at, v128.not(t9), 48);
}

function inverse6(at: usize): void {
  const a = v128.load(at, 0);
  const b = v128.load(at, 16);
  const c = v128.load(at, 32);
  const d = v128.load(at, 48);
  const ab = v128.and(a, b);
  const ac = v128.and(a, c);
  const bc = v128.and(b, c);
  const ad = v128.and(a, d);
  const bd = v128.and(b, d);
  const cd = v128.and(c, d);
  const abc = v128.and(ac, b);
  const abd = v128.and(ad, b);
  const bcd = v128.and(cd, b);
  const t0 = v128.xor(abd, bcd);
  const t1 = v128.xor(bc, t0);
  const t2 = v128.xor(ac, d);
  const t3 = v128.xor(b, c);
  const t4 = v128.xor(abc, t1);
  const t5 = v128.xor(ab, t4);
  const t6 = v128.xor(cd, d);
  const t7 = v128.xor(a, cd);
  const t8 = v128.xor(b, bd);
  const t9 = v128.xor(t1, t7);
  const t10 = v128.xor(t2, t5);
  const t11 = v128.xor(t2, t3);
  const t12 = v128.xor(ad, t6);
  const t13 = v128.xor(t3, t5);
  const t14 = v128.xor(t12, t13);
  const t15 = v128.xor(a, t10);
  const t16 = v128.xor(t8, t9);
  v128.store(at, v128.not(t15), 0);
  v128.store(at, v128.not(t11), 16);
  v128.store(at, v128.not(t16), 32);
  v128.store(at, v128.not(t14), 48);
}

function inverse7(at: usize): void {
  const a = v128.load(at, 0);
  const b = v128.load(at, 16);
  const c = v128.load(at, 32);
  const d = v128.load(at, 48);
  const ab = v128.and(a, b);
  const ac = v128.and(a, c);
  const bc = v128.and(b, c);
  const ad = v128.and(a, d);
  const bd = v128.and(b, d);
  const cd = v128.and(c, d);
  const abc = v128.and(ac, b);
  const abd = v128.and(ad, b);
  const acd = v128.and(cd, a);
  const bcd = v128.and(bd, c);
  const t0 = v128.xor(bc, bd);
  const t1 = v128.xor(ad, c);
  const t2 = v128.xor(abd, cd);
  const t3 = v128.xor(b, t2);
  const t4 = v128.xor(acd, d);
  const t5 = v128.xor(a, t0);
  const t6 = v128.xor(bcd, t5);
  const t7 = v128.xor(bd, t1);
  const t8 = v128.xor(t1, t6);
  const t9 = v128.xor(t3, t4);
  const t10 = v128.xor(ac, t9);
  const t11 = v128.xor(t4, t8);
  const t12 = v128.xor(abc, abd);
  const t13 = v128.xor(ab, t7);
  const t14 = v128.xor(t3, t6);
  const t15 = v128.xor(t12, t13);
  v128.store(at, v128.not(t14), 0);
  v128.store(at, v128.not(t11), 16);
  v128.store(at, t10, 32);
  v128.store(at, t15, 48);
}

/** Applies S-box `index` (0 to 7) to four planes. */
export function substitute(index: i32, at: usize): void {
  switch (index) {
    case 0:
      sbox0(at);
      break;
    case 1:
      sbox1(at);
      break;
    case 2:
      sbox2(at);
      break;
    case 3:
      sbox3(at);
      break;
    case 4:
      sbox4(at);
      break;
    case 5:
      sbox5(at);
      break;
    case 6:
      sbox6(at);
      break;
    default:
      sbox7(at);
      break;
  }
}

/** The inverse of {@link substitute}. */
export function invSubstitute(index: i32, at: usize): void {
  switch (index) {
    case 0:
      inverse0(at);
      break;
    case 1:
      inverse1(at);
      break;
    case 2:
      inverse2(at);
      break;
    case 3:
      inverse3(at);
      break;
    case 4:
      inverse4(at);
      break;
    case 5:
      inverse5(at);
      break;
    case 6:
      inverse6(at);
      break;
    default:
      inverse7(at);
      break;
  }
}

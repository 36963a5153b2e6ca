/**
 * The rounds of AES on bit planes: the S-box, and behind it, while its results are in registers, a linear layer. The S-box lacks its
 * constant 0x63, which is part of the round keys (see aes.ts). The middle of both directions is the inversion of GF(2^8) by
 * Boyar and Peralta ("A depth-16 circuit for the AES S-box", 2011), as are the linear parts of the forward one; those of the
 * inverse are the same forms taken through the inverse affine map.
 */
import { invMixColumns, invShiftRows, mixColumns, shiftRows } from './linear';
import { STATE_BYTES } from './planes';

/**
 * A round of encryption of a state: eight planes, that of bit 0 first. The S-box has 115 gates.
 * @param last there is no MixColumns, and the key is left to the caller
 */
@inline
function forward(at: usize, key: usize, last: bool): void {
  const x0 = v128.load(at, 112);
  const x1 = v128.load(at, 96);
  const x2 = v128.load(at, 80);
  const x3 = v128.load(at, 64);
  const x4 = v128.load(at, 48);
  const x5 = v128.load(at, 32);
  const x6 = v128.load(at, 16);
  const x7 = v128.load(at, 0);
  const y14 = v128.xor(x3, x5);
  const y13 = v128.xor(x0, x6);
  const y9 = v128.xor(x0, x3);
  const y8 = v128.xor(x0, x5);
  const t0 = v128.xor(x1, x2);
  const y1 = v128.xor(t0, x7);
  const y4 = v128.xor(y1, x3);
  const y12 = v128.xor(y13, y14);
  const y2 = v128.xor(y1, x0);
  const y5 = v128.xor(y1, x6);
  const y3 = v128.xor(y5, y8);
  const t1 = v128.xor(x4, y12);
  const y15 = v128.xor(t1, x5);
  const y20 = v128.xor(t1, x1);
  const y6 = v128.xor(y15, x7);
  const y10 = v128.xor(y15, t0);
  const y11 = v128.xor(y20, y9);
  const y7 = v128.xor(x7, y11);
  const y17 = v128.xor(y10, y11);
  const y19 = v128.xor(y10, y8);
  const y16 = v128.xor(t0, y11);
  const y21 = v128.xor(y13, y16);
  const y18 = v128.xor(x0, y16);
  const t2 = v128.and(y12, y15);
  const t3 = v128.and(y3, y6);
  const t4 = v128.xor(t3, t2);
  const t5 = v128.and(y4, x7);
  const t6 = v128.xor(t5, t2);
  const t7 = v128.and(y13, y16);
  const t8 = v128.and(y5, y1);
  const t9 = v128.xor(t8, t7);
  const t10 = v128.and(y2, y7);
  const t11 = v128.xor(t10, t7);
  const t12 = v128.and(y9, y11);
  const t13 = v128.and(y14, y17);
  const t14 = v128.xor(t13, t12);
  const t15 = v128.and(y8, y10);
  const t16 = v128.xor(t15, t12);
  const t17 = v128.xor(t4, t14);
  const t18 = v128.xor(t6, t16);
  const t19 = v128.xor(t9, t14);
  const t20 = v128.xor(t11, t16);
  const t21 = v128.xor(t17, y20);
  const t22 = v128.xor(t18, y19);
  const t23 = v128.xor(t19, y21);
  const t24 = v128.xor(t20, y18);
  const t25 = v128.xor(t21, t22);
  const t26 = v128.and(t21, t23);
  const t27 = v128.xor(t24, t26);
  const t28 = v128.and(t25, t27);
  const t29 = v128.xor(t28, t22);
  const t30 = v128.xor(t23, t24);
  const t31 = v128.xor(t22, t26);
  const t32 = v128.and(t31, t30);
  const t33 = v128.xor(t32, t24);
  const t34 = v128.xor(t23, t33);
  const t35 = v128.xor(t27, t33);
  const t36 = v128.and(t24, t35);
  const t37 = v128.xor(t36, t34);
  const t38 = v128.xor(t27, t36);
  const t39 = v128.and(t29, t38);
  const t40 = v128.xor(t25, t39);
  const t41 = v128.xor(t40, t37);
  const t42 = v128.xor(t29, t33);
  const t43 = v128.xor(t29, t40);
  const t44 = v128.xor(t33, t37);
  const t45 = v128.xor(t42, t41);
  const z0 = v128.and(t44, y15);
  const z1 = v128.and(t37, y6);
  const z2 = v128.and(t33, x7);
  const z3 = v128.and(t43, y16);
  const z4 = v128.and(t40, y1);
  const z5 = v128.and(t29, y7);
  const z6 = v128.and(t42, y11);
  const z7 = v128.and(t45, y17);
  const z8 = v128.and(t41, y10);
  const z9 = v128.and(t44, y12);
  const z10 = v128.and(t37, y3);
  const z11 = v128.and(t33, y4);
  const z12 = v128.and(t43, y13);
  const z13 = v128.and(t40, y5);
  const z14 = v128.and(t29, y2);
  const z15 = v128.and(t42, y9);
  const z16 = v128.and(t45, y14);
  const z17 = v128.and(t41, y8);
  const t46 = v128.xor(z15, z16);
  const t47 = v128.xor(z10, z11);
  const t48 = v128.xor(z5, z13);
  const t49 = v128.xor(z9, z10);
  const t50 = v128.xor(z2, z12);
  const t51 = v128.xor(z2, z5);
  const t52 = v128.xor(z7, z8);
  const t53 = v128.xor(z0, z3);
  const t54 = v128.xor(z6, z7);
  const t55 = v128.xor(z16, z17);
  const t56 = v128.xor(z12, t48);
  const t57 = v128.xor(t50, t53);
  const t58 = v128.xor(z4, t46);
  const t59 = v128.xor(z3, t54);
  const t60 = v128.xor(t46, t57);
  const t61 = v128.xor(z14, t57);
  const t62 = v128.xor(t52, t58);
  const t63 = v128.xor(t49, t58);
  const t64 = v128.xor(z4, t59);
  const t65 = v128.xor(t61, t62);
  const t66 = v128.xor(z1, t63);
  const s0 = v128.xor(t59, t63);
  const s6 = v128.xor(t56, t62);
  const s7 = v128.xor(t48, t60);
  const t67 = v128.xor(t64, t65);
  const s3 = v128.xor(t53, t66);
  const s4 = v128.xor(t51, t66);
  const s5 = v128.xor(t47, t65);
  const s1 = v128.xor(t64, s3);
  const s2 = v128.xor(t55, t67);
  if (last) {
    v128.store(at, shiftRows(s7), 0);
    v128.store(at, shiftRows(s6), 16);
    v128.store(at, shiftRows(s5), 32);
    v128.store(at, shiftRows(s4), 48);
    v128.store(at, shiftRows(s3), 64);
    v128.store(at, shiftRows(s2), 80);
    v128.store(at, shiftRows(s1), 96);
    v128.store(at, shiftRows(s0), 112);
  } else {
    mixColumns(s7, s6, s5, s4, s3, s2, s1, s0, at, key);
  }
}

/** A round of decryption, likewise. The inverse S-box has 120 gates. */
@inline
function backward(at: usize, key: usize, last: bool): void {
  const u0 = v128.load(at, 112);
  const u1 = v128.load(at, 96);
  const u2 = v128.load(at, 80);
  const u3 = v128.load(at, 64);
  const u4 = v128.load(at, 48);
  const u5 = v128.load(at, 32);
  const u6 = v128.load(at, 16);
  const u7 = v128.load(at, 0);
  const y9 = v128.xor(u3, u4);
  const y18 = v128.xor(u2, y9);
  const y8 = v128.xor(u0, u1);
  const y6 = v128.xor(u3, y8);
  const y1 = v128.xor(u7, y9);
  const y14 = v128.xor(u4, y6);
  const y13 = v128.xor(u6, y1);
  const y19 = v128.xor(u3, y1);
  const y12 = v128.xor(y14, y13);
  const y5 = v128.xor(u0, y6);
  const y2 = v128.xor(y13, y5);
  const y4 = v128.xor(y9, y2);
  const y10 = v128.xor(y8, y19);
  const y3 = v128.xor(u0, u3);
  const y7 = v128.xor(u2, y4);
  const y21 = v128.xor(u6, y7);
  const y16 = v128.xor(y1, y7);
  const a0 = v128.xor(u0, u5);
  const y11 = v128.xor(y4, a0);
  const w7 = v128.xor(u2, a0);
  const y17 = v128.xor(y10, y11);
  const y15 = v128.xor(y6, w7);
  const y20 = v128.xor(y9, y11);
  const t2 = v128.and(y12, y15);
  const t3 = v128.and(y3, y6);
  const t4 = v128.xor(t3, t2);
  const t5 = v128.and(y4, w7);
  const t6 = v128.xor(t5, t2);
  const t7 = v128.and(y13, y16);
  const t8 = v128.and(y5, y1);
  const t9 = v128.xor(t8, t7);
  const t10 = v128.and(y2, y7);
  const t11 = v128.xor(t10, t7);
  const t12 = v128.and(y9, y11);
  const t13 = v128.and(y14, y17);
  const t14 = v128.xor(t13, t12);
  const t15 = v128.and(y8, y10);
  const t16 = v128.xor(t15, t12);
  const t17 = v128.xor(t4, t14);
  const t18 = v128.xor(t6, t16);
  const t19 = v128.xor(t9, t14);
  const t20 = v128.xor(t11, t16);
  const t21 = v128.xor(t17, y20);
  const t22 = v128.xor(t18, y19);
  const t23 = v128.xor(t19, y21);
  const t24 = v128.xor(t20, y18);
  const t25 = v128.xor(t21, t22);
  const t26 = v128.and(t21, t23);
  const t27 = v128.xor(t24, t26);
  const t28 = v128.and(t25, t27);
  const t29 = v128.xor(t28, t22);
  const t30 = v128.xor(t23, t24);
  const t31 = v128.xor(t22, t26);
  const t32 = v128.and(t31, t30);
  const t33 = v128.xor(t32, t24);
  const t34 = v128.xor(t23, t33);
  const t35 = v128.xor(t27, t33);
  const t36 = v128.and(t24, t35);
  const t37 = v128.xor(t36, t34);
  const t38 = v128.xor(t27, t36);
  const t39 = v128.and(t29, t38);
  const t40 = v128.xor(t25, t39);
  const t41 = v128.xor(t40, t37);
  const t42 = v128.xor(t29, t33);
  const t43 = v128.xor(t29, t40);
  const t44 = v128.xor(t33, t37);
  const t45 = v128.xor(t42, t41);
  const z0 = v128.and(t44, y15);
  const z1 = v128.and(t37, y6);
  const z2 = v128.and(t33, w7);
  const z3 = v128.and(t43, y16);
  const z4 = v128.and(t40, y1);
  const z5 = v128.and(t29, y7);
  const z6 = v128.and(t42, y11);
  const z7 = v128.and(t45, y17);
  const z8 = v128.and(t41, y10);
  const z9 = v128.and(t44, y12);
  const z10 = v128.and(t37, y3);
  const z11 = v128.and(t33, y4);
  const z12 = v128.and(t43, y13);
  const z13 = v128.and(t40, y5);
  const z14 = v128.and(t29, y2);
  const z15 = v128.and(t42, y9);
  const z16 = v128.and(t45, y14);
  const z17 = v128.and(t41, y8);
  const b0 = v128.xor(z6, z15);
  const b1 = v128.xor(z13, b0);
  const b2 = v128.xor(z12, b1);
  const b3 = v128.xor(z8, z16);
  const b4 = v128.xor(z1, z4);
  const b5 = v128.xor(z0, b2);
  const b6 = v128.xor(z2, z10);
  const b7 = v128.xor(z3, z14);
  const b8 = v128.xor(z11, b6);
  const b9 = v128.xor(b3, b4);
  const b10 = v128.xor(z9, z17);
  const b11 = v128.xor(z3, b2);
  const b12 = v128.xor(z4, z7);
  const b13 = v128.xor(z5, b5);
  const b14 = v128.xor(z2, b3);
  const b15 = v128.xor(z15, b10);
  const s7 = v128.xor(z11, b15);
  const b16 = v128.xor(b1, b7);
  const b17 = v128.xor(z5, b3);
  const b18 = v128.xor(z8, b16);
  const b19 = v128.xor(b4, b6);
  const b20 = v128.xor(b10, b18);
  const b21 = v128.xor(b0, b7);
  const b22 = v128.xor(b9, b21);
  const s0 = v128.xor(b11, b17);
  const b23 = v128.xor(z16, b11);
  const b24 = v128.xor(z17, b13);
  const b25 = v128.xor(b8, b12);
  const s6 = v128.xor(b12, b23);
  const s3 = v128.xor(b5, b14);
  const b26 = v128.xor(z12, b8);
  const s2 = v128.xor(b22, b26);
  const s5 = v128.xor(b9, b13);
  const s4 = v128.xor(b24, b25);
  const s1 = v128.xor(b19, b20);
  if (last) {
    v128.store(at, invShiftRows(s7), 0);
    v128.store(at, invShiftRows(s6), 16);
    v128.store(at, invShiftRows(s5), 32);
    v128.store(at, invShiftRows(s4), 48);
    v128.store(at, invShiftRows(s3), 64);
    v128.store(at, invShiftRows(s2), 80);
    v128.store(at, invShiftRows(s1), 96);
    v128.store(at, invShiftRows(s0), 112);
  } else {
    invMixColumns(s7, s6, s5, s4, s3, s2, s1, s0, at, key);
  }
}

/** SubBytes, ShiftRows, MixColumns and a round key, for each key from `key` to `end`. */
export function encryptRounds(at: usize, key: usize, end: usize): void {
  for (; key < end; key += STATE_BYTES) forward(at, key, false);
}

/** SubBytes and ShiftRows, without a key. */
export function encryptLast(at: usize): void {
  forward(at, 0, true);
}

/** The inverses of SubBytes, ShiftRows and MixColumns, and a round key, for each key from that before `key` down to `end`. */
export function decryptRounds(at: usize, key: usize, end: usize): void {
  while (key > end) {
    key -= STATE_BYTES;
    backward(at, key, false);
  }
}

/** The inverses of SubBytes and ShiftRows, without a key. */
export function decryptLast(at: usize): void {
  backward(at, 0, true);
}

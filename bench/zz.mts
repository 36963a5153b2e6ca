import { imageLines } from './node/images';
for (const l of await imageLines()) console.log(l.what, l.ours, l.reference, l.value);

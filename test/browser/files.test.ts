import { cases } from './files.cases';
import { testInBrowser } from './harness';

testInBrowser('files in Chromium', new URL('files.cases.ts', import.meta.url), cases);

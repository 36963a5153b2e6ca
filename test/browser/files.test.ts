import { cases } from './files.cases';
import { testInBrowser } from './suite';

testInBrowser('files in Chromium', new URL('files.cases.ts', import.meta.url), cases);

/** Makes public/icon-*.png of public/icon.svg with Chromium: `node scripts/icons.mjs`. The results are committed. */
import { readFileSync, writeFileSync } from 'node:fs';
import { chromium } from 'playwright-core';

const folder = new URL('../public/', import.meta.url);
const svg = readFileSync(new URL('icon.svg', folder)).toString('base64');
const browser = await chromium.launch({
  executablePath: process.env.QSD_WEB_CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu'],
});
for (const size of [192, 512]) {
  const page = await browser.newPage({ viewport: { width: size, height: size } });
  await page.setContent(
    `<body style="margin:0;background:#0b0f15"><img width="${size}" src="data:image/svg+xml;base64,${svg}"></body>`,
  );
  writeFileSync(new URL(`icon-${size}.png`, folder), await page.screenshot());
}
await browser.close();

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { useLocale, words } from "../../web/js/words.js";

afterEach(() => useLocale(() => undefined));

test("words are English until a page names its language", () => {
  assert.equal(words().copy, "Copy");
});

for (const [locale, copy] of [
  ["en", "Copy"],
  ["zh", "复制"],
  ["zh-TW", "複製"],
  ["zh-HK", "复制"],
  ["ja", "コピー"],
  ["ko", "복사"],
  ["fr", "Copy"],
  ["constructor", "Copy"],
])
  test(`the words of ${locale}`, () => {
    useLocale(() => locale);
    assert.equal(words().copy, copy);
  });

test("the language is asked for each time", () => {
  let locale = "ja";
  useLocale(() => locale);
  assert.equal(words().copy, "コピー");
  locale = "ko";
  assert.equal(words().copy, "복사");
});

for (const locale of ["zh", "zh-TW", "ja", "ko"])
  test(`${locale} has every sentence, with what is filled in there`, () => {
    const english = words();
    useLocale(() => locale);
    const translated = words();
    assert.deepEqual(Object.keys(translated), Object.keys(english));
    for (const [name, sentence] of Object.entries(english)) {
      const parts = (text) => (text.match(/\{\w+\}/g) ?? []).sort();
      assert.deepEqual(parts(translated[name]), parts(sentence), name);
      assert.notEqual(translated[name], sentence, name);
    }
  });

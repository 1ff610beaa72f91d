import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { copyText } from "../../web/js/clipboard.js";

/** What the browser offers: the clipboard of https pages, and the command that works on all of them. */
function browserWith({ writeText, execCommand }) {
  Object.defineProperty(navigator, "clipboard", {
    value: writeText && { writeText },
    configurable: true,
  });
  document.execCommand = execCommand;
}

afterEach(() => document.body.replaceChildren());

function selectedText() {
  const field = document.activeElement;
  return field.value.slice(field.selectionStart, field.selectionEnd);
}

test("a page that may use the clipboard does", async () => {
  const written = [];
  browserWith({ writeText: async (text) => written.push(text), execCommand: () => assert.fail("not needed") });
  assert.equal(await copyText("a cat"), true);
  assert.deepEqual(written, ["a cat"]);
});

const REFUSES = () => Promise.reject(new Error("NotAllowedError"));
for (const [what, writeText] of [
  ["has no clipboard", undefined],
  ["is refused the clipboard", REFUSES],
])
  test(`a page that ${what} copies a selection`, async () => {
    const input = document.createElement("input");
    document.body.append(input);
    input.focus();
    const copied = [];
    const execCommand = (command) => {
      copied.push([command, selectedText()]);
      return true;
    };
    browserWith({ writeText, execCommand });
    assert.equal(await copyText("a cat,\n<b>masterpiece</b>"), true);
    assert.deepEqual(copied, [["copy", "a cat,\n<b>masterpiece</b>"]]);
    assert.deepEqual([...document.body.children], [input], "the field is gone");
    assert.equal(document.activeElement, input, "the focus is back");
  });

test("a browser that copies in neither way says so", async () => {
  browserWith({ writeText: REFUSES, execCommand: () => false });
  assert.equal(await copyText("a cat"), false);
  assert.equal(document.body.children.length, 0);
});

test("the field is gone after an error, too", async () => {
  const execCommand = () => {
    throw new Error("no such command");
  };
  browserWith({ writeText: undefined, execCommand });
  await assert.rejects(copyText("a cat"), /no such command/);
  assert.equal(document.body.children.length, 0);
});

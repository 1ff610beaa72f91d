import assert from "node:assert/strict";
import { test } from "node:test";
import { pictureNames } from "../../web/js/picture_names.js";
import { newNode } from "./graph.js";

function fed(comfyClass, ...sources) {
  return newNode(comfyClass, { inputs: sources.map(() => "IMAGE"), getInputNode: (slot) => sources[slot] });
}

function load(value) {
  return newNode("LoadImage", { outputs: ["IMAGE"], widgets: [{ name: "image", value }] });
}

for (const [what, source, names] of [
  ["a loaded file", load("a/cat.png"), ["a/cat.png"]],
  ["a file of another folder", load("cat.png [output]"), ["cat.png"]],
  [
    "a batch of files",
    fed("ImageBatch", fed("ImageBatch", load("1.png"), load("2.png")), load("3.png")),
    ["1.png", "2.png", "3.png"],
  ],
  ["a file behind a reroute", fed("Reroute", load("cat.png")), ["cat.png"]],
  ["a batch of which a part is made", fed("ImageBatch", load("1.png"), newNode("VAEDecode")), null],
  ["what is made", newNode("VAEDecode"), null],
  ["nothing", null, null],
])
  test(`the names of ${what}`, () => {
    assert.deepEqual(pictureNames(fed("InterrogatorImage", source)), names);
  });

test("a circle has no names", () => {
  const node = fed("Reroute");
  node.inputs = [{ type: "IMAGE" }];
  node.getInputNode = () => node;
  assert.equal(pictureNames(node), null);
});

test("a node without an image has no names", () => {
  assert.equal(pictureNames(newNode("InterrogatorDataset")), null);
});

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { COMMANDS, menuItems } from "../../web/js/interrogate_picture.js";
import { app, reset } from "./comfyui_app.js";
import { Graph, link, newNode } from "./graph.js";

const [COMMAND] = COMMANDS;
let graph;

beforeEach(() => {
  reset();
  graph = new Graph();
  window.LiteGraph = { createNode: (type) => newNode(type, { inputs: ["STRING", "IMAGE"], size: [320, 200] }) };
});

function added() {
  return graph.nodes.find((node) => node.comfyClass === "InterrogatorImage");
}

function interrogate(node) {
  const [item, ...others] = menuItems(node);
  assert.deepEqual(others, []);
  assert.equal(item.content, "Interrogate this image");
  item.callback();
}

for (const [what, node] of [
  ["shows one", newNode("LoadImage", { imgs: [{}] })],
  ["gives one", newNode("VAEDecode", { outputs: ["IMAGE"] })],
  ["gives one or a mask", newNode("Either", { outputs: ["LATENT", "IMAGE,MASK"] })],
  ["saves one", newNode("SaveImage", { inputs: ["IMAGE"], isOutput: true })],
])
  test(`a node that ${what} has the entry in its menu`, () => {
    assert.equal(menuItems(node).length, 1);
  });

for (const [what, node] of [
  ["without a picture", newNode("KSampler", { inputs: ["MODEL"], outputs: ["LATENT"] })],
  ["that only takes one", newNode("VAEEncode", { inputs: ["IMAGE"], outputs: ["LATENT"] })],
  ["that holds several images of another kind", newNode("Video", { outputs: ["IMAGES", 0, null] })],
  ["of ours", newNode("InterrogatorDataset", { outputs: ["IMAGE"] })],
  ["without sockets", { comfyClass: "Note", constructor: {} }],
])
  test(`a node ${what} has no entry in its menu`, () => {
    assert.deepEqual(menuItems(node), []);
  });

test("the new node is fed by the node's own output, and selected, in one step of the history", () => {
  const decode = graph.put(newNode("VAEDecode", { outputs: ["MASK", "IMAGE"] }));
  interrogate(decode);
  assert.deepEqual(graph.links, [{ from: decode, output: 1, to: added(), input: 1 }]);
  assert.deepEqual(app.canvasCalls, ["before change", "select InterrogatorImage", "after change"]);
});

test("from a node without outputs the new node is fed by what feeds it", () => {
  const decode = graph.put(newNode("VAEDecode", { outputs: ["MASK", "IMAGE"] }));
  const save = graph.put(newNode("SaveImage", { inputs: ["STRING", "IMAGE"], isOutput: true }));
  save.links[1] = link(decode, 1);
  interrogate(save);
  assert.deepEqual(graph.links, [{ from: decode, output: 1, to: added(), input: 1 }]);
});

test("in a subgraph the picture may come from outside", () => {
  const connected = [];
  const subgraphInput = { connect: (input, node) => connected.push([input, node]) };
  const save = graph.put(newNode("SaveImage", { inputs: ["IMAGE"], isOutput: true }));
  save.links[0] = { origin_slot: 0, resolve: () => ({ subgraphInput }) };
  interrogate(save);
  assert.equal(connected.length, 1);
  assert.equal(connected[0][0], added().inputs[1]);
  assert.equal(connected[0][1], added());
});

test("where nothing can be connected a sentence says so, and the graph stays", () => {
  const save = graph.put(newNode("SaveImage", { inputs: ["IMAGE"], isOutput: true }));
  interrogate(save);
  assert.deepEqual(graph.nodes, [save]);
  assert.deepEqual(app.canvasCalls, []);
  assert.equal(app.toasts.length, 1);
  assert.match(app.toasts[0].detail, /no image to connect/);
});

test("a free spot is to the right, at the same height", () => {
  const decode = graph.put(newNode("VAEDecode", { outputs: ["IMAGE"], pos: [100, 50], size: [200, 80] }));
  interrogate(decode);
  assert.deepEqual(added().pos, [360, 50]);
});

test("nodes that stand there are passed, in order of their height", () => {
  const decode = graph.put(newNode("VAEDecode", { outputs: ["IMAGE"], pos: [100, 50], size: [200, 80] }));
  graph.put(newNode("Lower", { pos: [400, 330], size: [200, 100] }));
  graph.put(newNode("Upper", { pos: [400, 0], size: [200, 100] }));
  graph.put(newNode("Elsewhere", { pos: [2000, 490], size: [200, 100] }));
  interrogate(decode);
  assert.deepEqual(added().pos, [360, 490]);
});

test("a gap that is large enough is taken", () => {
  const decode = graph.put(newNode("VAEDecode", { outputs: ["IMAGE"], pos: [100, 50], size: [200, 80] }));
  graph.put(newNode("Upper", { pos: [400, 0], size: [200, 100] }));
  graph.put(newNode("Lower", { pos: [400, 500], size: [200, 100] }));
  interrogate(decode);
  assert.deepEqual(added().pos, [360, 160]);
});

test("the command works on the selected node", () => {
  const decode = graph.put(newNode("VAEDecode", { outputs: ["IMAGE"] }));
  app.canvas.selected_nodes = { 7: decode };
  COMMAND.function();
  assert.equal(graph.links.length, 1);
  assert.deepEqual(app.toasts, []);
});

for (const [what, selected] of [
  ["nothing", undefined],
  ["no node", {}],
  ["two nodes", { 1: newNode("VAEDecode", { outputs: ["IMAGE"] }), 2: newNode("VAEDecode", { outputs: ["IMAGE"] }) }],
  ["a node without a picture", { 1: newNode("KSampler", { outputs: ["LATENT"] }) }],
])
  test(`with ${what} selected, the command says what to select`, () => {
    app.canvas.selected_nodes = selected;
    COMMAND.function();
    assert.deepEqual(graph.nodes, []);
    assert.match(app.toasts[0].detail, /Select one node/);
  });

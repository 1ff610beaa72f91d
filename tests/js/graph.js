/** Stands in for LiteGraph's nodes, links and graphs: what our scripts use of them. */

export class Graph {
  nodes = [];
  links = [];

  add(node) {
    this.nodes.push(node);
    node.graph = this;
  }

  put(node) {
    this.add(node);
    return node;
  }
}

/** A node with sockets of these types. */
export function newNode(comfyClass, { inputs = [], outputs = [], isOutput = false, ...members } = {}) {
  return {
    comfyClass,
    constructor: { nodeData: { output_node: isOutput } },
    inputs: inputs.map((type) => ({ type })),
    outputs: outputs.map((type) => ({ type })),
    links: [],
    pos: [0, 0],
    size: [200, 100],
    getInputLink(slot) {
      return this.links[slot] ?? null;
    },
    connect(output, to, input) {
      this.graph.links.push({ from: this, output, to, input });
    },
    ...members,
  };
}

/** The link from an output of a node. */
export function link(outputNode, slot) {
  return { origin_slot: slot, resolve: () => ({ outputNode }) };
}

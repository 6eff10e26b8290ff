#include <fmt/format.h>

#include "tools/cli/lab_selection.h"
#include "tools/cli/verbs.h"

namespace patchbay::tools::cli {

namespace {

// Node and interface names consist of letters, digits and ._- (tools/lab/names.h): no text here needs
// quoting.

/// The name of an interface with its addresses, lines joined by `line_break`.
std::string end_label(const Interface& interface, std::string_view line_break) {
  std::string label = interface.name;
  for (const auto* addresses : {&interface.ipv4, &interface.ipv6}) {
    for (const InterfaceAddress& address : *addresses)
      label.append(line_break).append(to_string(address));
  }
  return label;
}

void print_mermaid(const Lab& lab) {
  fmt::print("---\ntitle: {}\n---\ngraph LR\n", lab.name);
  // Numbers as identifiers: a node may be called "end", which is a word of Mermaid's.
  for (std::size_t i = 0; i < lab.nodes.size(); ++i) {
    const Node& node = lab.nodes[i];
    const bool bridge = node.kind == NodeKind::bridge;
    fmt::print("  n{}{}\"{}<br>{}\"{}\n", i, bridge ? "([" : "[", node.name, to_string(node.kind),
               bridge ? "])" : "]");
  }
  for (const Link& link : lab.links) {
    fmt::print("  n{} ---|\"{} — {}\"| n{}\n", link.a.node,
               end_label(lab.nodes[link.a.node].interfaces[link.a.interface], " "),
               end_label(lab.nodes[link.z.node].interfaces[link.z.interface], " "), link.z.node);
  }
}

void print_dot(const Lab& lab) {
  fmt::print("graph \"{}\" {{\n  node [shape=box];\n  edge [fontsize=9];\n", lab.name);
  for (const Node& node : lab.nodes) {
    fmt::print("  \"{0}\" [label=\"{0}\\n{1}\"{2}];\n", node.name, to_string(node.kind),
               node.kind == NodeKind::bridge ? ", shape=ellipse" : "");
  }
  for (const Link& link : lab.links) {
    const Node& a = lab.nodes[link.a.node];
    const Node& z = lab.nodes[link.z.node];
    fmt::print("  \"{}\" -- \"{}\" [taillabel=\"{}\", headlabel=\"{}\"];\n", a.name, z.name,
               end_label(a.interfaces[link.a.interface], "\\n"),
               end_label(z.interfaces[link.z.interface], "\\n"));
  }
  fmt::print("}}\n");
}

}  // namespace

void add_graph(CLI::App& program, int& status) {
  auto* verb = program.add_subcommand("graph", "draw a lab file's nodes and links");
  verb->footer(
      "The lab need not be up. Examples:\n  patchbay graph --mermaid >lab.mmd\n"
      "  patchbay graph --dot | dot -Tsvg -o lab.svg");
  auto* selection = new LabSelection;
  auto* dot = new bool(false);
  auto* mermaid = new bool(false);
  verb->add_option("-t,--topo", selection->file, "lab file; default: the only *.clab.yml in this directory");
  auto* as_dot = verb->add_flag("--dot", *dot, "for Graphviz");
  verb->add_flag("--mermaid", *mermaid, "for Mermaid, which many wikis show; the default")->excludes(as_dot);
  verb->callback([selection, dot, &status] {
    const Lab lab = selection->load();
    *dot ? print_dot(lab) : print_mermaid(lab);
    status = 0;
  });
}

}  // namespace patchbay::tools::cli

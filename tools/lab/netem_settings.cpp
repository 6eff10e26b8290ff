#include "tools/lab/netem_settings.h"

#include "tools/lab/quantity.h"

namespace patchbay::tools {
namespace {

Netem read_direction(const YamlNode& node, Reader& reader) {
  Netem netem;
  if (!reader.map(node, "a direction of netem", netem_direction_keys())) return netem;
  const auto field = [&](std::string_view key, auto& target, auto parse) {
    if (const YamlNode* value = node.find(key)) target = reader.value(*value, key, parse).value_or(target);
  };
  const auto milliseconds = [](std::string_view text) { return parse_duration(text, "ms"); };
  field("delay", netem.delay, milliseconds);
  field("jitter", netem.jitter, milliseconds);
  field("loss", netem.loss_percent, parse_percentage);
  field("reorder", netem.reorder_percent, parse_percentage);
  field("duplicate", netem.duplicate_percent, parse_percentage);
  field("corrupt", netem.corrupt_percent, parse_percentage);
  field("rate", netem.rate_bits, parse_rate);
  if (netem.jitter > netem.delay) {
    reader.error(*node.find("jitter"), "the jitter is larger than the delay",
                 "frames cannot arrive before they are sent: raise the delay");
  } else if (netem.reorder_percent > 0 && netem.delay.count() == 0) {
    reader.error(*node.find("reorder"), "reordering needs a delay",
                 "frames overtake only those that wait: add delay");
  }
  return netem;
}

}  // namespace

void read_netem(const YamlNode& node, Reader& reader, Netem& a_to_z, Netem& z_to_a) {
  if (!reader.map(node, "netem", netem_keys())) return;
  if (const YamlNode* direction = node.find("a-to-z")) a_to_z = read_direction(*direction, reader);
  if (const YamlNode* direction = node.find("z-to-a")) z_to_a = read_direction(*direction, reader);
  if (a_to_z != Netem{} || z_to_a != Netem{}) {
    reader.diagnostics().note_once(
        "netem", node.at, "'netem' is checked and kept, but this version delivers every frame unimpaired");
  }
}

}  // namespace patchbay::tools

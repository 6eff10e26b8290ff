// A link's impairments as a lab file writes them: `netem: {a-to-z: {delay: 10ms, loss: 1%}}`. The command
// line has the same keys and values.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "tools/lab/model.h"
#include "tools/lab/reader.h"

namespace patchbay::tools {

/// Sets what `key` names from `text`, such as "delay" from "10ms"; what is wrong with either, or nothing.
[[nodiscard]] std::optional<Fault> set_netem(Netem& netem, std::string_view key, std::string_view text);

struct NetemFault {
  std::string_view key;  // of the setting that does not go with the others
  Fault fault;
};
[[nodiscard]] std::optional<NetemFault> check_netem(const Netem& netem);

/// What a direction does, in netem's words: "delay 10ms 2ms loss 1% rate 10mbit"; empty if nothing.
[[nodiscard]] std::string to_string(const Netem& netem);
/// Parts of it, to be read again: "10ms", "1%", "10mbit".
[[nodiscard]] std::string format_delay(std::chrono::microseconds delay);
[[nodiscard]] std::string format_percentage(double percent);
[[nodiscard]] std::string format_rate(std::uint64_t bits);

/// Of a link, by the end that sends: A, its first endpoint, then Z. Nothing where the file says nothing.
using LinkNetem = std::array<std::optional<Located<Netem>>, 2>;
[[nodiscard]] LinkNetem read_netem(const YamlNode& node, Reader& reader);

}  // namespace patchbay::tools

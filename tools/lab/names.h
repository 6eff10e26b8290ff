// Which names a lab, its nodes and their interfaces can have. Names end up in paths, in `ip netns`, in kernel
// command lines and in Linux interface names, so each is checked here once and trusted afterwards.
#pragma once

#include <optional>
#include <string_view>

#include "tools/lab/parsed.h"

namespace patchbay::tools {

/// What is wrong with a name, or nothing.
[[nodiscard]] std::optional<Fault> check_lab_name(std::string_view name);
[[nodiscard]] std::optional<Fault> check_prefix(std::string_view prefix);
[[nodiscard]] std::optional<Fault> check_node_name(std::string_view name);
[[nodiscard]] std::optional<Fault> check_interface_name(std::string_view name);

/// True for names that endpoints use for what lies outside a lab: "host", "macvlan", ...
[[nodiscard]] bool is_reserved_node_name(std::string_view name);

/// Orders names as people count: "eth2" before "eth10".
[[nodiscard]] bool natural_less(std::string_view a, std::string_view b);

}  // namespace patchbay::tools

// The keys of a lab file at each level, and what becomes of each: the one place to look up or extend the
// format.
#pragma once

#include <span>
#include <string_view>

namespace patchbay::tools {

struct Key {
  std::string_view name;
  /// Empty: the key is read. Otherwise it is containerlab's and accepted without effect; says why or what to
  /// do instead.
  std::string_view no_effect = {};
};

[[nodiscard]] std::span<const Key> top_keys();
[[nodiscard]] std::span<const Key> topology_keys();
/// Of a node, and of an entry of `defaults`, `kinds` and `groups`.
[[nodiscard]] std::span<const Key> node_keys();
[[nodiscard]] std::span<const Key> healthcheck_keys();
[[nodiscard]] std::span<const Key> config_keys();
/// Of a link in brief form: `endpoints: ["r1:eth0", "h1:eth1"]`.
[[nodiscard]] std::span<const Key> brief_link_keys();
/// Of a link with `type: veth`.
[[nodiscard]] std::span<const Key> veth_link_keys();
[[nodiscard]] std::span<const Key> endpoint_keys();

// Patchbay's extensions, under `vars: {patchbay: ...}`, where containerlab ignores them.
[[nodiscard]] std::span<const Key> link_extension_keys();
[[nodiscard]] std::span<const Key> endpoint_extension_keys();
[[nodiscard]] std::span<const Key> vhost_user_keys();
[[nodiscard]] std::span<const Key> node_extension_keys();
[[nodiscard]] std::span<const Key> netem_keys();
[[nodiscard]] std::span<const Key> netem_direction_keys();
[[nodiscard]] std::span<const Key> check_keys();
[[nodiscard]] std::span<const Key> ping_keys();
[[nodiscard]] std::span<const Key> traceroute_keys();
[[nodiscard]] std::span<const Key> exec_keys();

}  // namespace patchbay::tools

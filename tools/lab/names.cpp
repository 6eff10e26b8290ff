#include "tools/lab/names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>

namespace patchbay::tools {
namespace {

constexpr std::size_t kMaxHostName = 63;       // RFC 1123 2.1, one label
constexpr std::size_t kMaxInterfaceName = 15;  // Linux: IFNAMSIZ - 1

// Node parts of endpoints that have a meaning of their own in containerlab.
constexpr std::array<std::string_view, 6> kReservedNodes{"host",  "mgmt-net",     "macvlan",
                                                         "vxlan", "vxlan-stitch", "dummy"};
// Names that exist in every namespace or mean all interfaces under /proc/sys/net.
constexpr std::array<std::string_view, 3> kReservedInterfaces{"lo", "all", "default"};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_alphanumeric(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_name_character(char c) {
  return is_alphanumeric(c) || c == '_' || c == '.' || c == '-';
}
bool all_name_characters(std::string_view name) {
  return std::all_of(name.begin(), name.end(), is_name_character);
}

std::optional<Fault> check_host_name(std::string_view what, std::string_view name) {
  if (name.empty())
    return Fault{fmt::format("the {} is empty", what), "give it letters, digits, '-', '_' or '.'"};
  if (!is_alphanumeric(name.front()) || !all_name_characters(name)) {
    return Fault{fmt::format("'{}' cannot be a {}", name, what),
                 "it starts with a letter or digit and has letters, digits, '-', '_' and '.'"};
  }
  if (name.size() > kMaxHostName) {
    return Fault{fmt::format("the {} has {} characters", what, name.size()),
                 fmt::format("at most {} are possible", kMaxHostName)};
  }
  return std::nullopt;
}

// Compares the numbers at the front of both and removes them: < 0, 0, > 0.
int compare_numbers(std::string_view& a, std::string_view& b) {
  const auto take = [](std::string_view& text) {
    while (text.size() > 1 && text.front() == '0' && is_digit(text[1]))
      text.remove_prefix(1);
    std::size_t digits = 0;
    while (digits < text.size() && is_digit(text[digits]))
      ++digits;
    const std::string_view number = text.substr(0, digits);
    text.remove_prefix(digits);
    return number;
  };
  const std::string_view x = take(a);
  const std::string_view y = take(b);
  if (x.size() != y.size()) return x.size() < y.size() ? -1 : 1;
  return x.compare(y);
}

}  // namespace

std::optional<Fault> check_lab_name(std::string_view name) {
  return check_host_name("lab name", name);
}

std::optional<Fault> check_prefix(std::string_view prefix) {
  if (prefix.empty()) return std::nullopt;
  return check_host_name("prefix", prefix);
}

bool is_reserved_node_name(std::string_view name) {
  return std::find(kReservedNodes.begin(), kReservedNodes.end(), name) != kReservedNodes.end();
}

std::optional<Fault> check_node_name(std::string_view name) {
  if (is_reserved_node_name(name)) {
    return Fault{fmt::format("the node name '{}' is reserved for links out of the lab", name),
                 "choose another one"};
  }
  return check_host_name("node name", name);
}

std::optional<Fault> check_interface_name(std::string_view name) {
  if (name.empty()) return Fault{"the interface name is empty", "write one such as eth1"};
  if (name.size() > kMaxInterfaceName) {
    return Fault{fmt::format("the interface name '{}' has {} characters", name, name.size()),
                 fmt::format("Linux allows at most {}", kMaxInterfaceName)};
  }
  if (!is_alphanumeric(name.front()) || !all_name_characters(name)) {
    return Fault{fmt::format("'{}' cannot be an interface name", name),
                 "it starts with a letter or digit and has letters, digits, '-', '_' and '.'"};
  }
  if (std::find(kReservedInterfaces.begin(), kReservedInterfaces.end(), name) != kReservedInterfaces.end()) {
    return Fault{fmt::format("the interface name '{}' is reserved", name),
                 "choose another one, such as eth1"};
  }
  return std::nullopt;
}

bool natural_less(std::string_view a, std::string_view b) {
  const std::string_view whole_a = a;
  const std::string_view whole_b = b;
  while (!a.empty() && !b.empty()) {
    if (is_digit(a.front()) && is_digit(b.front())) {
      const int order = compare_numbers(a, b);
      if (order != 0) return order < 0;
    } else {
      if (a.front() != b.front()) return a.front() < b.front();
      a.remove_prefix(1);
      b.remove_prefix(1);
    }
  }
  if (a.empty() != b.empty()) return a.empty();
  return whole_a < whole_b;  // "eth01" and "eth1" are different names
}

}  // namespace patchbay::tools

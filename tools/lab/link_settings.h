// What a lab file says about a link, in either of its forms, before the nodes are looked up.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tools/lab/model.h"
#include "tools/lab/netem_settings.h"
#include "tools/lab/reader.h"

namespace patchbay::tools {

struct VhostUserSettings {
  bool client = false;
  std::optional<Located<std::string>> socket;
  Position at;
};

struct NicSettings {
  std::optional<Located<NicModel>> model;
  std::optional<unsigned> queues;
  std::optional<VhostUserSettings> vhost_user;
};

struct EndpointSettings {
  Located<std::string> node;
  Located<std::string> interface;
  std::optional<Located<MacAddress>> mac;
  std::vector<Located<InterfaceAddress>> ipv4;
  std::vector<Located<InterfaceAddress>> ipv6;
  NicSettings nic;
  std::size_t marked_bytes = 1;  // of "node:interface" in the file
};

struct LinkSettings {
  std::array<EndpointSettings, 2> ends;
  std::optional<Located<unsigned>> mtu;
  NicSettings nic;  // of the ends that are virtual machines or external and say nothing themselves
  bool lossless = false;
  LinkNetem netem;
  std::map<std::string, Located<std::string>> labels;
  const YamlNode* checks = nullptr;
  Position at;
};

/// Reads one item of `links`. Nothing, and errors, if it does not name two endpoints.
[[nodiscard]] std::optional<LinkSettings> read_link_settings(const YamlNode& node, Reader& reader);

}  // namespace patchbay::tools

#include "tools/lab/schema.h"

namespace patchbay::tools {
namespace {

constexpr std::string_view kNoManagement =
    "nodes are reached with `patchbay exec` and `patchbay console`, not over a management network";
constexpr std::string_view kNoContainer = "nodes are no containers";
constexpr std::string_view kAllAtOnce = "nodes start all at once";
constexpr std::string_view kAlwaysStartup = "a node always boots with its startup-config";

constexpr Key kTop[] = {
    {"name"},
    {"prefix"},
    {"topology"},
    {"mgmt", kNoManagement},
    {"settings", "there are no certificates to issue"},
    {"debug", "use the options of the command line"},
};

constexpr Key kTopology[] = {{"nodes"}, {"links"}, {"defaults"}, {"kinds"}, {"groups"}};

constexpr Key kNode[] = {
    {"kind"},
    {"group"},
    {"type"},
    {"image"},
    {"cmd"},
    {"startup-config"},
    {"exec"},
    {"binds"},
    {"env"},
    {"labels"},
    {"cpu"},
    {"memory"},
    {"healthcheck"},
    {"config"},
    {"stages", kAllAtOnce},
    {"wait-for", kAllAtOnce},
    {"startup-delay", kAllAtOnce},
    {"enforce-startup-config", kAlwaysStartup},
    {"suppress-startup-config", kAlwaysStartup},
    {"mgmt-ipv4", kNoManagement},
    {"mgmt-ipv6", kNoManagement},
    {"mgmt_ipv4", kNoManagement},
    {"mgmt_ipv6", kNoManagement},
    {"network-mode", kNoManagement},
    {"ports", kNoManagement},
    {"publish", kNoManagement},
    {"dns", kNoManagement},
    {"aliases", kNoManagement},
    {"SANs", "there are no certificates to issue"},
    {"certificate", "there are no certificates to issue"},
    {"sysctls", "set them with exec: [\"sysctl -w ...\"]"},
    {"env-files", "write the variables under env"},
    {"entrypoint", kNoContainer},
    {"user", kNoContainer},
    {"runtime", kNoContainer},
    {"image-pull-policy", kNoContainer},
    {"restart-policy", kNoContainer},
    {"auto-remove", kNoContainer},
    {"shm-size", kNoContainer},
    {"cap-add", kNoContainer},
    {"devices", kNoContainer},
    {"cpu-set", "the host's scheduler places nodes"},
    {"license", "no kind of node needs one"},
    {"extras", "no kind of node has any"},
    {"components", "no kind of node has any"},
    {"position", "it only placed the node in drawings"},
};

constexpr Key kHealthcheck[] = {{"test"}, {"start-period"}, {"interval"}, {"timeout"}, {"retries"}};
constexpr Key kConfig[] = {{"vars"}};
constexpr Key kBriefLink[] = {{"endpoints"}, {"mtu"}, {"ipv4"}, {"ipv6"}, {"labels"}, {"vars"}};
constexpr Key kVethLink[] = {{"type"}, {"endpoints"}, {"mtu"}, {"labels"}, {"vars"}};
constexpr Key kEndpoint[] = {{"node"}, {"interface"}, {"mac"}, {"ipv4"}, {"ipv6"}, {"vars"}};

constexpr Key kLinkExtension[] = {{"checks"}, {"lossless"}, {"netem"}, {"nic"}, {"queues"}, {"vhost-user"}};
constexpr Key kEndpointExtension[] = {{"nic"}, {"queues"}, {"vhost-user"}};
constexpr Key kVhostUser[] = {{"mode"}, {"socket"}};
constexpr Key kNodeExtension[] = {{"checks"}, {"kernel"}, {"initrd"}, {"boot-timeout"}, {"engine"}, {"devargs"}};
constexpr Key kNetem[] = {{"a-to-z"}, {"z-to-a"}};
constexpr Key kNetemDirection[] = {{"delay"},   {"jitter"},    {"loss"},   {"rate"},
                                   {"reorder"}, {"duplicate"}, {"corrupt"}};
constexpr Key kCheck[] = {{"ping"}, {"traceroute"}, {"exec"}, {"name"}, {"within"}};
constexpr Key kPing[] = {{"from"}, {"to"}, {"count"}, {"size"}, {"dont-fragment"}, {"interval"}, {"loss"}};
constexpr Key kTraceroute[] = {{"from"}, {"to"}, {"hops"}, {"via"}};
constexpr Key kExec[] = {{"node"}, {"cmd"}, {"exit-status"}, {"stdout-contains"}, {"stdout-excludes"}};

}  // namespace

std::span<const Key> top_keys() {
  return kTop;
}
std::span<const Key> topology_keys() {
  return kTopology;
}
std::span<const Key> node_keys() {
  return kNode;
}
std::span<const Key> healthcheck_keys() {
  return kHealthcheck;
}
std::span<const Key> config_keys() {
  return kConfig;
}
std::span<const Key> brief_link_keys() {
  return kBriefLink;
}
std::span<const Key> veth_link_keys() {
  return kVethLink;
}
std::span<const Key> endpoint_keys() {
  return kEndpoint;
}
std::span<const Key> link_extension_keys() {
  return kLinkExtension;
}
std::span<const Key> endpoint_extension_keys() {
  return kEndpointExtension;
}
std::span<const Key> vhost_user_keys() {
  return kVhostUser;
}
std::span<const Key> node_extension_keys() {
  return kNodeExtension;
}
std::span<const Key> netem_keys() {
  return kNetem;
}
std::span<const Key> netem_direction_keys() {
  return kNetemDirection;
}
std::span<const Key> check_keys() {
  return kCheck;
}
std::span<const Key> ping_keys() {
  return kPing;
}
std::span<const Key> traceroute_keys() {
  return kTraceroute;
}
std::span<const Key> exec_keys() {
  return kExec;
}

}  // namespace patchbay::tools

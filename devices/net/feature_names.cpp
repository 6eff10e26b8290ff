#include "devices/net/feature_names.h"

#include <string_view>
#include <utility>

#include "devices/net/net_header.h"

namespace patchbay::devices::net {

namespace {

constexpr std::pair<virtio::FeatureSet, std::string_view> kNames[] = {
    {kFeatureChecksum, "F_CSUM"},
    {kFeatureGuestChecksum, "F_GUEST_CSUM"},
    {kFeatureControlOffloads, "F_CTRL_GUEST_OFFLOADS"},
    {kFeatureMtu, "F_MTU"},
    {kFeatureMac, "F_MAC"},
    {kFeatureGuestTso4, "F_GUEST_TSO4"},
    {kFeatureGuestTso6, "F_GUEST_TSO6"},
    {kFeatureGuestEcn, "F_GUEST_ECN"},
    {kFeatureHostTso4, "F_HOST_TSO4"},
    {kFeatureHostTso6, "F_HOST_TSO6"},
    {kFeatureHostEcn, "F_HOST_ECN"},
    {kFeatureMergeableRx, "F_MRG_RXBUF"},
    {kFeatureStatus, "F_STATUS"},
    {kFeatureControlQueue, "F_CTRL_VQ"},
    {kFeatureControlRx, "F_CTRL_RX"},
    {kFeatureControlVlan, "F_CTRL_VLAN"},
    {kFeatureControlRxExtra, "F_CTRL_RX_EXTRA"},
    {kFeatureAnnounce, "F_GUEST_ANNOUNCE"},
    {kFeatureMultiqueue, "F_MQ"},
    {kFeatureControlMac, "F_CTRL_MAC_ADDR"},
    {virtio::kFeatureIndirectDescriptors, "F_INDIRECT_DESC"},
    {virtio::kFeatureEventIndex, "F_EVENT_IDX"},
    {virtio::kFeatureVersion1, "F_VERSION_1"},
    {virtio::kFeaturePackedRing, "F_RING_PACKED"},
    {virtio::kFeatureInOrder, "F_IN_ORDER"},
    {kFeatureGuestUso4, "F_GUEST_USO4"},
    {kFeatureGuestUso6, "F_GUEST_USO6"},
    {kFeatureHostUso, "F_HOST_USO"},
    {kFeatureSpeedDuplex, "F_SPEED_DUPLEX"},
};

std::string name_of(unsigned bit) {
  for (const auto& [feature, name] : kNames)
    if (feature == virtio::FeatureSet{1} << bit) return std::string(name);
  return "bit " + std::to_string(bit);
}

}  // namespace

std::vector<std::string> feature_names(virtio::FeatureSet features) {
  std::vector<std::string> names;
  for (unsigned bit = 0; bit < 64; ++bit) {
    if ((features >> bit & 1) != 0) names.push_back(name_of(bit));
  }
  return names;
}

}  // namespace patchbay::devices::net

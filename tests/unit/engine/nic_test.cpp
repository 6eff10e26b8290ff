// Both halves of a card, made from an interface of the lab file.
#include "tools/engine/nic.h"

#include <gtest/gtest.h>

#include <cstring>
#include <stdexcept>

namespace patchbay::tools {
namespace {

Interface interface(NicModel model) {
  Interface result;
  result.name = "eth0";
  result.mac = {0x02, 0, 0, 0, 0, 1};
  result.nic = model;
  return result;
}

std::uint32_t identity(devices::pci::Function& function) {
  std::uint32_t value = 0;
  std::memcpy(&value, function.config_page().data(), sizeof value);
  return value;
}

TEST(Nic, VirtioCardIsAPortAndAVirtioFunction) {
  const Nic nic(NicConfig::of("r1", interface(NicModel::virtio_net)));
  EXPECT_EQ(nic.model(), NicModel::virtio_net);
  EXPECT_EQ(nic.port().name(), "r1:eth0");
  EXPECT_EQ(identity(*nic.function()), 0x1041'1AF4u);
}

TEST(Nic, E1000IsAPortAndAn82540em) {
  const Nic nic(NicConfig::of("v1", interface(NicModel::e1000)));
  EXPECT_EQ(nic.model(), NicModel::e1000);
  EXPECT_EQ(nic.port().name(), "v1:eth0");
  EXPECT_EQ(identity(*nic.function()), 0x100E'8086u);
  EXPECT_EQ(nic.function()->bar_size(0), 128u * 1024);
}

TEST(Nic, QueuePairsThatACardDoesNotHaveAreRefused) {
  NicConfig e1000 = NicConfig::of("v1", interface(NicModel::e1000));
  e1000.queues = 2;
  EXPECT_THROW(Nic{e1000}, std::runtime_error);
  NicConfig virtio = NicConfig::of("v1", interface(NicModel::virtio_net));
  virtio.queues = 2;
  EXPECT_NO_THROW(Nic{virtio});
  virtio.queues = 17;
  EXPECT_THROW(Nic{virtio}, std::runtime_error);
}

}  // namespace
}  // namespace patchbay::tools

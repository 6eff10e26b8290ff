#include "tools/engine/qemu/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace patchbay::tools::qemu {
namespace {

using Json = nlohmann::json;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

Machine machine() {
  Machine result;
  result.name = "v1";
  result.cpus = 2;
  result.memory_bytes = 256U << 20U;
  result.kernel = "/proc/self/fd/7";
  result.kernel_arguments = "console=ttyS0 quiet";
  result.console = 20;
  result.monitor = 21;
  result.agent = 22;
  return result;
}

/// The values of every `option`.
std::vector<std::string> values(const Machine& machine, const std::string& option) {
  const std::vector<std::string> words = command_line(machine);
  std::vector<std::string> result;
  for (std::size_t i = 0; i + 1 < words.size(); ++i)
    if (words[i] == option) result.push_back(words[i + 1]);
  return result;
}

std::vector<Json> devices(const Machine& machine) {
  std::vector<Json> result;
  for (const std::string& text : values(machine, "-device"))
    result.push_back(Json::parse(text));
  return result;
}

TEST(QemuCommandLine, EmulatesAPcWithSharedMemoryAndNothingThatWasNotAskedFor) {
  const std::vector<std::string> words = command_line(machine());
  for (const char* word : {"-nodefaults", "-no-user-config", "-no-reboot"})
    EXPECT_THAT(words, Contains(word));
  EXPECT_THAT(values(machine(), "-accel"), ElementsAre("tcg,thread=multi"));
  EXPECT_THAT(values(machine(), "-smp"), ElementsAre("2"));
  EXPECT_THAT(values(machine(), "-machine"), ElementsAre(HasSubstr("q35,memory-backend=ram")));
  const Json memory = Json::parse(values(machine(), "-object").at(0));
  EXPECT_EQ(memory, Json({{"qom-type", "memory-backend-memfd"}, {"id", "ram"}, {"size", 268435456}, {"share", true}}));
  EXPECT_THAT(values(machine(), "-append"), ElementsAre("console=ttyS0 quiet"));
  EXPECT_THAT(words, testing::Not(Contains("-initrd")));
  EXPECT_THAT(values(machine(), "-chardev"),
              ElementsAre("socket,id=console,fd=20", "socket,id=monitor,fd=21", "socket,id=agent-line,fd=22"));
}

TEST(QemuCommandLine, CardsComeInTheOrderOfTheInterfaces) {
  Machine with = machine();
  Card e1000;
  e1000.model = NicModel::e1000;
  e1000.mac = {0x02, 0, 0, 0, 0, 1};
  e1000.datagrams = 30;
  Card virtio;
  virtio.mac = {0x02, 0, 0, 0, 0, 2};
  virtio.mtu = 1500;
  virtio.queues = 2;
  virtio.vhost_user = "/run/a,b.sock";
  with.cards = {e1000, virtio};
  const std::vector<Json> made = devices(with);
  EXPECT_EQ(made[0]["driver"], "e1000");
  EXPECT_EQ(made[0]["mac"], "02:00:00:00:00:01");
  EXPECT_EQ(made[0]["addr"], "1.0");
  EXPECT_EQ(made[1]["driver"], "virtio-net-pci");
  EXPECT_EQ(made[1]["addr"], "2.0");
  EXPECT_EQ(made[1]["host_mtu"], 1500);
  EXPECT_EQ(made[1]["mq"], true);
  EXPECT_EQ(made[1]["vectors"], 0);
  const std::vector<std::string> backends = values(with, "-netdev");
  EXPECT_EQ(Json::parse(backends.at(0)),
            Json({{"type", "dgram"}, {"id", "nic0"}, {"local", {{"type", "fd"}, {"str", "30"}}}}));
  EXPECT_EQ(backends.at(1), "vhost-user,id=nic1,chardev=nic1-backend,queues=2");
  EXPECT_THAT(values(with, "-chardev"), Contains("socket,id=nic1-backend,path=/run/a,,b.sock"));
}

TEST(QemuCommandLine, DisksAreWrittenInPlaceOrIntoAnOverlay) {
  Machine with = machine();
  with.drives = {{.image = 40, .overlay = 41, .serial = "patchbay-vda"}, {.image = 42, .read_only = true, .serial = "b"},
                 {.image = 43, .is_block_device = true, .serial = "c"}};
  const std::vector<std::string> media = values(with, "-blockdev");
  const Json first = Json::parse(media.at(0));
  EXPECT_EQ(first["driver"], "qcow2");
  EXPECT_EQ(first["file"]["filename"], "/proc/self/fd/41");
  EXPECT_EQ(first["backing"]["file"]["filename"], "/proc/self/fd/40");
  EXPECT_EQ(first["backing"]["read-only"], true);
  EXPECT_EQ(Json::parse(media.at(1))["read-only"], true);
  EXPECT_EQ(Json::parse(media.at(2))["file"]["driver"], "host_device");
  EXPECT_EQ(devices(with)[0]["serial"], "patchbay-vda");
}

TEST(QemuCommandLine, RefusesMoreThanTheBoardHasRoomFor) {
  Machine with = machine();
  with.cards.resize(28);
  EXPECT_NO_THROW(static_cast<void>(command_line(with)));
  with.cards.resize(29);
  EXPECT_THROW(static_cast<void>(command_line(with)), std::runtime_error);
}

}  // namespace
}  // namespace patchbay::tools::qemu

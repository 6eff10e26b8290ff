#include "tools/engine/qemu/command_line.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "tools/agent/protocol.h"

namespace patchbay::tools::qemu {

namespace {

using Json = nlohmann::json;

// Slots 1 to 30 of q35's root bus: 0 is the host bridge, 31 the chip with the serial port and the ACPI registers.
constexpr unsigned kSlots = 30;

/// Texts of users stand in JSON; in QEMU's older syntax a comma would end a value.
std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    result += c;
    if (c == ',') result += c;
  }
  return result;
}

class Builder {
 public:
  explicit Builder(const Machine& machine) : machine_(machine) {}

  std::vector<std::string> build() {
    const std::size_t slots = machine_.cards.size() + machine_.drives.size() + 2;
    if (slots > kSlots) {
      throw std::runtime_error(fmt::format("{} network cards and {} disks do not fit: QEMU's board has room for {}",
                                           machine_.cards.size(), machine_.drives.size(), kSlots - 2));
    }
    board();
    software();
    for (std::size_t i = 0; i < machine_.cards.size(); ++i)
      card(machine_.cards[i], card_name(i));
    for (std::size_t i = 0; i < machine_.drives.size(); ++i)
      drive(machine_.drives[i], fmt::format("disk{}", i));
    device({{"driver", "virtio-rng-pci"}});
    streams();
    return std::move(words_);
  }

 private:
  void add(const std::string& option, const std::string& value) {
    words_.push_back(option);
    words_.push_back(value);
  }
  void add_json(const std::string& option, const Json& value) { add(option, value.dump()); }

  /// In the next slot.
  void device(Json properties) {
    const std::string driver = properties.at("driver");
    properties["bus"] = "pcie.0";
    properties["addr"] = fmt::format("{:x}.0", ++slot_);
    if (driver.starts_with("virtio")) properties["disable-legacy"] = "on";
    add_json("-device", properties);
  }

  void board() {
    add("-name", escaped(machine_.name));
    words_.insert(words_.end(), {"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"});
    add("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny");
    // Memory that the back ends of the cards can map.
    add_json("-object", Json{{"qom-type", "memory-backend-memfd"},
                        {"id", "ram"},
                        {"size", machine_.memory_bytes},
                        {"share", true}});
    // Without what guests would spend time on: a keyboard controller, SATA, SMBus, system management mode. The only
    // input device is the power button.
    add("-machine",
        "q35,memory-backend=ram,i8042=off,sata=off,smbus=off,smm=off,vmport=off,hpet=off");
    add("-accel", "tcg,thread=multi");
    // All that QEMU can emulate; its own family number makes Linux look for AGP bridges for seconds.
    add("-cpu", "max,family=25,model=1,stepping=0");
    add("-smp", std::to_string(machine_.cpus));
    add("-m", fmt::format("{}B", machine_.memory_bytes));
  }

  void software() {
    add("-kernel", machine_.kernel);
    if (!machine_.initrd.empty()) add("-initrd", machine_.initrd);
    add("-append", machine_.kernel_arguments);
  }

  void card(const Card& card, const std::string& id) {
    Json properties{{"driver", "e1000"}, {"netdev", id}, {"id", id + "-card"}, {"mac", to_string(card.mac)},
                    {"romfile", ""}};
    if (card.model == NicModel::virtio_net) {
      add("-chardev", fmt::format("socket,id={}-backend,path={}", id, escaped(card.vhost_user.string())));
      add("-netdev", fmt::format("vhost-user,id={0},chardev={0}-backend,queues={1}", id, card.queues));
      properties["driver"] = "virtio-net-pci";
      properties["host_mtu"] = card.mtu;
      // INTx: without KVM, QEMU 7.2 crashes when a vhost-user card gets MSI-X vectors (it takes them for irqfds).
      properties["vectors"] = 0;
      if (card.queues > 1) properties["mq"] = true;
    } else {
      add_json("-netdev", Json{{"type", "dgram"},
                          {"id", id},
                          {"local", {{"type", "fd"}, {"str", std::to_string(card.datagrams)}}}});
    }
    device(std::move(properties));
  }

  void drive(const Drive& drive, const std::string& id) {
    Json medium{{"driver", "raw"},
                {"read-only", drive.read_only || drive.overlay >= 0},
                {"file",
                 {{"driver", drive.is_block_device ? "host_device" : "file"}, {"filename", file_of(drive.image)}}}};
    if (drive.overlay >= 0) {
      medium = {{"driver", "qcow2"},
                {"file", {{"driver", "file"}, {"filename", file_of(drive.overlay)}}},
                {"backing", std::move(medium)},
                {"cache", {{"no-flush", true}}}};  // it ends with the lab: nothing has to be safe on a disk
    }
    medium["node-name"] = id;
    if (!drive.read_only) medium["discard"] = "unmap";
    add_json("-blockdev", medium);
    device({{"driver", "virtio-blk-pci"}, {"drive", id}, {"serial", drive.serial}});
  }

  void streams() {
    const auto socket = [this](const char* id, int fd) {
      add("-chardev", fmt::format("socket,id={},fd={}", id, fd));
    };
    socket("console", machine_.console);
    add("-serial", "chardev:console");
    socket("monitor", machine_.monitor);
    add("-mon", "chardev=monitor,mode=control");
    socket("agent-line", machine_.agent);
    device({{"driver", "virtio-serial-pci"}, {"id", "serial"}, {"max_ports", 2}});
    add_json("-device", Json{{"driver", "virtserialport"},
                        {"id", kAgentPort},
                        {"chardev", "agent-line"},
                        {"name", agent::kPortName}});
  }

  const Machine& machine_;
  std::vector<std::string> words_;
  unsigned slot_ = 0;
};

}  // namespace

std::vector<std::string> command_line(const Machine& machine) {
  return Builder(machine).build();
}

std::string card_name(std::size_t index) {
  return fmt::format("nic{}", index);
}

std::string file_of(int fd) {
  return fmt::format("/proc/self/fd/{}", fd);
}

}  // namespace patchbay::tools::qemu

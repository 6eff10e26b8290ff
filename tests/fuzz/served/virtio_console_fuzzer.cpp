// Arbitrary control messages and data on a serial device with two ports, with a host that reads and writes in
// between, and an entropy device on the same guest's terms.
#include <memory>

#include "devices/console/virtio_console.h"
#include "devices/entropy/virtio_rng.h"
#include "tests/fuzz/served/served_guest.h"

namespace patchbay::devices::console {
namespace {

void run(fuzz::Input& input) {
  static virtio::DoorbellThread thread;
  SerialPort first("first");
  SerialPort second("second");
  VirtioConsole device({&first, &second}, thread);
  entropy::VirtioRng rng(thread);
  const auto guest = std::make_unique<fuzz::ServedGuest>(device);
  const auto rng_guest = std::make_unique<fuzz::ServedGuest>(rng);
  guest->bring_up(input);
  rng_guest->bring_up(input);
  std::array<std::byte, 3000> data{};
  for (unsigned steps = 0; !input.empty() && steps < 256; ++steps) {
    SerialPort& port = input.below(2) == 0 ? first : second;
    switch (input.below(10)) {
      case 0:
        guest->bring_up(input);
        break;
      case 1:
        guest->store(input.take<std::uint16_t>(), input.take<std::uint64_t>());
        break;
      case 2:
        guest->kick();
        break;
      case 3:
        fuzz::require(port.read(std::span(data).first(input.below(3000))) <= SerialPort::kBufferBytes);
        break;
      case 4:
        static_cast<void>(port.write(std::span(data).first(input.below(3000))));
        break;
      case 5:
        rng_guest->offer(input, 0, {});
        rng_guest->kick();
        break;
      case 6: {
        const VirtioConsole::Control message{input.below(3), static_cast<std::uint16_t>(input.below(9)),
                                             static_cast<std::uint16_t>(input.below(2))};
        guest->offer(input, VirtioConsole::kControlTransmit, std::as_bytes(std::span(&message, 1)));
        break;
      }
      default:
        guest->offer(input, input.below(device.queue_count()), {});
        break;
    }
  }
  guest->kick();
}

}  // namespace
}  // namespace patchbay::devices::console

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  patchbay::devices::fuzz::Input input(data, size);
  patchbay::devices::console::run(input);
  return 0;
}

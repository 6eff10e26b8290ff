// A running capture of the engine: taps on the switch, and a thread that writes the pcapng stream to a client
// until either side ends it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "vswitch/capture/session.h"
#include "vswitch/file_descriptor.h"
#include "vswitch/switch.h"

namespace patchbay::tools {

class CaptureStream {
 public:
  /// Attaches the taps. `ports` and `interfaces` correspond. Throws what CaptureSession throws.
  CaptureStream(vswitch::Switch& vswitch, std::vector<std::string> ports,
                std::vector<vswitch::capture::CaptureInterface> interfaces,
                vswitch::capture::CaptureOptions options);
  /// Ends the capture; what is buffered is still written if the client reads it.
  ~CaptureStream();
  CaptureStream(const CaptureStream&) = delete;
  CaptureStream& operator=(const CaptureStream&) = delete;

  [[nodiscard]] const std::vector<std::string>& ports() const noexcept { return ports_; }
  /// Starts writing to `client`, a socket. `on_end` is called on the writer's thread when the client is gone
  /// or the capture is complete; it must only ask another thread to destroy this object.
  void start(vswitch::FileDescriptor client, std::function<void()> on_end);

 private:
  void write_all();

  vswitch::Switch& switch_;
  std::vector<std::string> ports_;
  vswitch::capture::CaptureSession session_;
  vswitch::FileDescriptor client_;
  std::function<void()> on_end_;
  std::thread writer_;
};

}  // namespace patchbay::tools

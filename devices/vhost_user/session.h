// One connection of a front end: what its messages do to the port. Negotiates features, shares memory, starts
// and stops rings. The peer may send anything in any order: a message that makes no sense is refused, which
// ends the connection unless the peer asked for an acknowledgement.
//
// A ring runs when it has memory, addresses, a size and a kick, and moves frames when it is enabled; it stops
// at GET_VRING_BASE, with everything it took completed. Rings are served in order, so the used index of a
// split ring tells all that is to know after a lost connection: it always starts at the used index, and no
// frame is lost or sent twice; after a crash of ours, those that had not been completed are
// sent again. A packed ring has no index in memory: it resumes where an inflight area says, and front ends
// without one start it afresh, with a reset of the guest's driver, unless it was stopped in order.
//
// Threads: the control thread of the port.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "devices/vhost_user/channel.h"
#include "devices/vhost_user/inflight_area.h"
#include "devices/vhost_user/vhost_user_port.h"

namespace patchbay::devices::vhost_user {

class Session {
 public:
  /// Takes the port over until the session ends; one session at a time. `socket` as for Channel.
  Session(FileDescriptor socket, VhostUserPort& port);
  /// Disconnects the port.
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// Readable when on_readable() has something to do.
  [[nodiscard]] int fd() const noexcept { return channel_.fd(); }
  /// Handles what has arrived. Throws std::runtime_error, with the reason, when the connection is over.
  void on_readable();
  /// The port's attention_fd() is readable. Throws as above.
  void on_attention();

  [[nodiscard]] FeatureSet features() const noexcept { return features_; }
  /// Why the last message was refused, or the last ring stopped; empty if all is well.
  [[nodiscard]] const std::string& complaint() const noexcept { return complaint_; }

 private:
  struct Ring {
    std::uint16_t size = 0;
    std::optional<VringAddress> address;
    std::optional<std::uint16_t> base;  // position; nothing: the start of a fresh ring
    bool kicked = false;
    bool started = false;
    FileDescriptor error;  // eventfd, where the front end wants to hear of broken rings
  };

  struct Answer {
    std::vector<std::byte> payload;
    FileDescriptor fd;
  };

  void handle(Message& message);
  /// Does what a message asks. What to answer with, if the request has an answer of its own.
  [[nodiscard]] std::optional<Answer> serve(Message& message);

  void set_features(FeatureSet features);
  void set_memory_table(Message& message);
  void set_vring_fd(Message& message);
  [[nodiscard]] Answer make_inflight_area(const Message& message) const;
  void set_inflight_area(Message& message);
  /// Of an area that a front end wants or offers; throws if there cannot be one.
  [[nodiscard]] Inflight inflight_payload(const Message& message) const;
  void start_if_ready(unsigned index);
  void stop(unsigned index);
  /// Where the ring goes on is what the front end says from now on.
  void forget_inflight(unsigned index) noexcept;
  void reset();
  /// Where a ring stands: its base, or the beginning of a ring of the format negotiated.
  [[nodiscard]] std::uint16_t position(const Ring& ring) const noexcept;
  [[nodiscard]] bool packed() const noexcept { return (features_ & virtio::kFeaturePackedRing) != 0; }
  [[nodiscard]] Answer config(const Message& message) const;
  /// Runs `change` while no ring runs, then starts those again that did.
  template <typename Change>
  void with_rings_stopped(Change change);
  [[nodiscard]] Ring& ring(std::uint64_t index);

  Channel channel_;
  VhostUserPort& port_;
  std::shared_ptr<const PeerMemory> memory_ = std::make_shared<PeerMemory>();
  std::unique_ptr<InflightArea> inflight_;  // if the front end keeps one; the rings write to it
  FeatureSet features_ = 0;
  std::uint64_t protocol_ = 0;
  std::uint8_t status_ = 0;
  std::vector<Ring> rings_;
  std::string complaint_;
};

}  // namespace patchbay::devices::vhost_user

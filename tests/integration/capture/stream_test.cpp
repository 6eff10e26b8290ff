// A capture from the taps to files that Wireshark's own tools read, also when the capturing process is
// killed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>

#include "tests/unit/capture/test_frame.h"
#include "tools/capture/file_sink.h"
#include "vswitch/capture/session.h"

namespace patchbay {
namespace {

using tools::FileSink;
using vswitch::Direction;
using vswitch::FrameView;
using vswitch::capture::CaptureInterface;
using vswitch::capture::CaptureSession;
using vswitch::capture::TestFrame;

struct Result {
  int status = -1;
  std::string output;
};

Result run(const std::string& command) {
  Result result;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return result;
  std::array<char, 4096> buffer{};
  while (const std::size_t bytes = fread(buffer.data(), 1, buffer.size(), pipe))
    result.output.append(buffer.data(), bytes);
  const int status = pclose(pipe);
  if (WIFEXITED(status)) result.status = WEXITSTATUS(status);
  return result;
}

std::vector<CaptureInterface> both_ends() {
  CaptureInterface router, host;
  router.name = "r1:eth0";
  router.description = "two-lans r1:eth0 -- h1:eth1";
  router.mac = {{2, 0, 0, 0, 0, 1}};
  router.speed = 10'000'000'000;
  router.hardware = "virtio-net";
  host.name = "h1:eth1";
  return {router, host};
}

void show(CaptureSession& session, std::size_t interface, Direction direction, const FrameView& frame) {
  const FrameView* frames[] = {&frame};
  session.tap(interface).frames(direction, frames);
}

class CaptureStream : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* tool : {"tshark", "capinfos"}) {
      if (run(std::string("command -v ") + tool + " >/dev/null").status != 0) {
        GTEST_SKIP() << tool << " is missing: apt-get install tshark";
      }
    }
    std::string name = testing::TempDir() + "capture_stream.XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    directory_ = name;
    file_ = directory_ + "/x.pcapng";
  }
  void TearDown() override {
    if (!directory_.empty()) std::filesystem::remove_all(directory_);
  }

  /// Reads what waits in the session into the sink.
  static void drain(CaptureSession& session, FileSink& sink) {
    std::vector<std::byte> buffer(vswitch::capture::kMinReadBytes);
    while (const std::size_t bytes = session.read(buffer))
      sink.consume(std::span(buffer).first(bytes));
  }

  std::string directory_, file_;
};

TEST_F(CaptureStream, TsharkReadsEveryFieldBack) {
  CaptureSession session(both_ends(), {.filter = "udp", .snaplen = 1000});
  FileSink sink({.path = file_});
  TestFrame request(vswitch::capture::ip_frame(17, 4000, 100)),
      reply(vswitch::capture::ip_frame(17, 4001, 1400), 3);
  request.view().id = 7;
  request.view().offload = {
      .flags = vswitch::Offload::kNeedsChecksum, .checksum_start = 34, .checksum_offset = 6};
  show(session, 0, Direction::from_port, request.view());
  show(session, 1, Direction::to_port, request.view());
  show(session, 0, Direction::to_port, reply.view());
  show(session, 0, Direction::to_port, TestFrame(vswitch::capture::ip_frame(6, 80)).view());
  session.stop();
  drain(session, sink);
  sink.finish();
  EXPECT_TRUE(sink.complete());

  const Result fields =
      run("tshark -r " + file_ +
          " -T fields -E separator=, -e frame.interface_name -e frame.packet_flags_direction"
          " -e frame.packet_id -e frame.len -e frame.cap_len -e udp.dstport 2>/dev/null");
  EXPECT_EQ(fields.output,
            "r1:eth0,0x00000002,7,142,142,4000\n"
            "h1:eth1,0x00000001,7,142,142,4000\n"
            "r1:eth0,0x00000001,,1442,1000,4001\n");
  const Result verbose = run("tshark -r " + file_ + " -c 1 -V 2>/dev/null");
  EXPECT_THAT(verbose.output, testing::HasSubstr("Interface description: two-lans r1:eth0 -- h1:eth1"));

  const Result info = run("capinfos -M " + file_);
  EXPECT_EQ(info.status, 0) << info.output;
  for (const char* line :
       {"Number of packets:   3", "Capture application: Patchbay", "Name = r1:eth0", "Name = h1:eth1",
        "Encapsulation = Ethernet (1 - ether)", "Hardware = virtio-net", "Speed = 10000000000",
        "Time precision = nanoseconds (9)", "Time resolution = 0x09", "Filter string = udp",
        "Capture length = 1000", "Number of stat entries = 1"}) {
    EXPECT_THAT(info.output, testing::HasSubstr(line));
  }
}

TEST_F(CaptureStream, TsharkFindsCompletedChecksumsRight) {
  CaptureSession session(both_ends(), {});
  FileSink sink({.path = file_});
  for (const std::size_t payload : {0U, 1U, 1400U, 8001U}) {
    // As a sender with checksum offload leaves it: the field holds the sum of the pseudo-header
    // 10.0.0.1, 192.168.0.2, protocol 17 and the length.
    std::vector<std::byte> bytes = vswitch::capture::ip_frame(17, 4000, payload);
    std::size_t sum = 0x0A00 + 0x0001 + 0xC0A8 + 0x0002 + 17 + 8 + payload;
    sum = (sum & 0xFFFF) + (sum >> 16);
    bytes[40] = static_cast<std::byte>(sum >> 8);
    bytes[41] = static_cast<std::byte>(sum);
    TestFrame frame(std::move(bytes), 4);
    frame.view().offload = {
        .flags = vswitch::Offload::kNeedsChecksum, .checksum_start = 34, .checksum_offset = 6};
    show(session, 0, Direction::from_port, frame.view());
  }
  session.stop();
  drain(session, sink);
  sink.finish();
  const Result fields = run("tshark -r " + file_ +
                            " -o udp.check_checksum:TRUE -T fields -e udp.checksum.status"
                            " 2>/dev/null");
  EXPECT_EQ(fields.output, "1\n1\n1\n1\n");
}

TEST_F(CaptureStream, EveryFileOfARingIsReadable) {
  CaptureSession session(both_ends(), {});
  FileSink sink({.path = file_, .file_bytes = 20'000, .files = 3});
  TestFrame frame(vswitch::capture::ip_frame(17, 4000, 1000));
  for (int i = 0; i < 100; ++i)
    show(session, 0, Direction::from_port, frame.view());
  session.stop();
  drain(session, sink);
  sink.finish();
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
    ++files;
    EXPECT_LE(entry.file_size(), 20'000U);
    const Result info = run("capinfos -c -M " + entry.path().string());
    EXPECT_EQ(info.status, 0) << info.output;
  }
  EXPECT_EQ(files, 3U);
}

/// The engine's side: frames pass the tap as fast as they can, the stream goes into `socket`. Never returns.
[[noreturn]] void capture_for_ever(int socket) {
  CaptureSession session(both_ends(), {});
  std::thread worker([&session] {
    TestFrame frame(vswitch::capture::ip_frame(17, 4000, 1400), 2);
    for (;;) {
      show(session, 0, Direction::from_port, frame.view());
      usleep(10);
    }
  });
  std::vector<std::byte> buffer(vswitch::capture::kMinReadBytes);
  for (;;) {
    while (const std::size_t bytes = session.read(buffer)) {
      // In odd portions, so that the end falls inside a block.
      for (std::size_t at = 0; at < bytes; at += 1000) {
        (void)!write(socket, buffer.data() + at, std::min<std::size_t>(1000, bytes - at));
      }
    }
    if (session.arm()) continue;
    pollfd event{.fd = session.wake_fd(), .events = POLLIN, .revents = 0};
    (void)poll(&event, 1, -1);
  }
}

TEST_F(CaptureStream, AKilledEngineLeavesAReadableFile) {
  std::array<int, 2> ends{};
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  const pid_t engine = fork();
  ASSERT_GE(engine, 0);
  if (engine == 0) {
    close(ends[1]);
    capture_for_ever(ends[0]);
  }
  close(ends[0]);

  FileSink sink({.path = file_});
  while (sink.packets() < 500 && sink.read_from(ends[1])) {
  }
  ASSERT_EQ(kill(engine, SIGKILL), 0);
  while (sink.read_from(ends[1])) {
  }
  sink.finish();
  close(ends[1]);
  int status = 0;
  ASSERT_EQ(waitpid(engine, &status, 0), engine);
  EXPECT_TRUE(WIFSIGNALED(status));

  EXPECT_GE(sink.packets(), 500U);
  EXPECT_FALSE(sink.complete());
  const Result info = run("capinfos -c -M " + file_);
  EXPECT_EQ(info.status, 0) << info.output;
  EXPECT_THAT(info.output,
              testing::HasSubstr("Number of packets:   " + std::to_string(sink.packets()) + "\n"));
  const Result tshark = run("tshark -r " + file_ + " -Y 'udp.dstport == 4000' 2>/dev/null | grep -c ' UDP '");
  EXPECT_EQ(tshark.output, std::to_string(sink.packets()) + "\n");
}

}  // namespace
}  // namespace patchbay

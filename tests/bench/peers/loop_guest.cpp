// A guest for tests/bench/peers/run where testpmd's loop is not enough: it sends every frame that it receives
// at one port out of the other, for ever, and writes addresses of the next flow into each. So any number of
// flows and of MAC addresses goes through the switch, whatever the number of frames on their way.
//
//   loop_guest EAL-OPTIONS... -- CPU
//
// The EAL options name two ports (virtio-user). Commands on standard input, one a line, each answered by a
// line:
//   run SIZE FLOWS MACS IN_FLIGHT SETTLE SECONDS   ->   rates PPS PPS       received at ports 0 and 1
//   quit
// SIZE has no FCS. FLOWS are UDP flows that differ by address and port, MACS source addresses behind each
// port.
#include <pthread.h>
#include <sched.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_udp.h>

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint16_t kQueue = 1024;
constexpr std::uint16_t kBurst = 32;  // as testpmd
constexpr unsigned kMbufs = 20000;

struct Headers {
  rte_ether_hdr ethernet;
  rte_ipv4_hdr ip;
  rte_udp_hdr udp;
} __attribute__((packed, aligned(2)));

struct Load {
  unsigned size = 60;  // bytes without FCS
  unsigned flows = 1;
  unsigned macs = 1;
  unsigned in_flight = 512;  // frames a direction
  double settle = 0.3;       // seconds before the measurement
  double seconds = 1;
};

rte_ether_addr station(unsigned port, unsigned number) {
  return {{0x02, 0, static_cast<std::uint8_t>(1 + port), static_cast<std::uint8_t>(number >> 16),
           static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)}};
}

// What the frames that leave one port carry, one after the other.
class Stream {
 public:
  Stream(const Load& load, unsigned port) : headers_(std::max(load.flows, load.macs)) {
    for (unsigned i = 0; i < headers_.size(); ++i) {
      Headers& h = headers_[i];
      h = {};
      h.ethernet.src_addr = station(port, i % load.macs);
      h.ethernet.dst_addr = station(1 - port, i % load.macs);
      h.ethernet.ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
      const unsigned flow = i % load.flows;
      h.ip.version_ihl = 0x45;
      h.ip.total_length = rte_cpu_to_be_16(static_cast<std::uint16_t>(load.size - sizeof h.ethernet));
      h.ip.time_to_live = 64;
      h.ip.next_proto_id = IPPROTO_UDP;
      h.ip.src_addr = rte_cpu_to_be_32(0xC6120000U + (port << 8) + flow % 250 + 1);  // RFC 2544: 198.18/15
      h.ip.dst_addr = rte_cpu_to_be_32(0xC6120000U + ((1 - port) << 8) + flow % 250 + 1);
      h.ip.hdr_checksum = rte_ipv4_cksum(&h.ip);
      h.udp.src_port = rte_cpu_to_be_16(static_cast<std::uint16_t>(1024 + flow / 250));
      h.udp.dst_port = rte_cpu_to_be_16(9);
      h.udp.dgram_len =
          rte_cpu_to_be_16(static_cast<std::uint16_t>(load.size - sizeof h.ethernet - sizeof h.ip));
    }
  }

  void address(rte_mbuf* frame) noexcept {
    std::memcpy(rte_pktmbuf_mtod(frame, void*), &headers_[next_], sizeof(Headers));
    if (++next_ == headers_.size()) next_ = 0;
  }

 private:
  std::vector<Headers> headers_;
  std::size_t next_ = 0;
};

void check(int result, const char* what) {
  if (result < 0) throw std::runtime_error(std::string(what) + ": " + std::strerror(-result));
}

class Guest {
 public:
  explicit Guest(int cpu) {
    pool_ = rte_pktmbuf_pool_create("frames", kMbufs, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
    if (pool_ == nullptr) throw std::runtime_error("no memory for frames: raise -m");
    if (rte_eth_dev_count_avail() != 2) throw std::runtime_error("the EAL options must name two ports");
    for (std::uint16_t port = 0; port < 2; ++port) {
      const rte_eth_conf configuration{};
      check(rte_eth_dev_configure(port, 1, 1, &configuration), "cannot configure a port");
      check(rte_eth_rx_queue_setup(port, 0, kQueue, 0, nullptr, pool_), "cannot set up a receive queue");
      check(rte_eth_tx_queue_setup(port, 0, kQueue, 0, nullptr), "cannot set up a transmit queue");
      check(rte_eth_dev_start(port), "cannot start a port");
    }
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<unsigned>(cpu), &set);
    check(-pthread_setaffinity_np(pthread_self(), sizeof set, &set), "cannot pin the loop");
  }

  std::array<double, 2> run(const Load& load) {
    std::array<Stream, 2> streams{Stream(load, 0), Stream(load, 1)};
    introduce(load, streams);
    for (std::uint16_t port = 0; port < 2; ++port)
      inject(port, load, streams[port]);
    (void)loop(streams, load.settle);
    const std::array<double, 2> rates = loop(streams, load.seconds);
    drain();
    return rates;
  }

 private:
  // One frame of every flow, in both directions, so that the switch has learned all addresses.
  void introduce(const Load& load, std::array<Stream, 2>& streams) {
    for (unsigned done = 0; done < std::max(load.flows, load.macs); done += kBurst) {
      Load few = load;
      few.in_flight = kBurst;
      for (std::uint16_t port = 0; port < 2; ++port)
        inject(port, few, streams[port]);
      drain();
    }
  }

  void inject(std::uint16_t port, const Load& load, Stream& stream) {
    for (unsigned done = 0; done < load.in_flight;) {
      std::array<rte_mbuf*, kBurst> frames;
      if (rte_pktmbuf_alloc_bulk(pool_, frames.data(), kBurst) != 0)
        throw std::runtime_error("out of frames");
      for (rte_mbuf* frame : frames) {
        std::memset(rte_pktmbuf_append(frame, static_cast<std::uint16_t>(load.size)), 0, load.size);
        stream.address(frame);
      }
      send(port, frames);
      done += kBurst;
    }
  }

  static unsigned send(std::uint16_t port, std::span<rte_mbuf*> frames) noexcept {
    const auto count = static_cast<std::uint16_t>(frames.size());
    const std::uint16_t sent = rte_eth_tx_burst(port, 0, frames.data(), count);
    for (rte_mbuf* frame : frames.subspan(sent))
      rte_pktmbuf_free(frame);
    return sent;
  }

  static std::array<double, 2> loop(std::array<Stream, 2>& streams, double seconds) {
    std::array<std::uint64_t, 2> received{};
    const auto start = Clock::now();
    const auto end =
        start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    auto now = start;
    for (unsigned turn = 0;; ++turn) {
      if (turn % 256 == 0 && (now = Clock::now()) >= end) break;
      for (std::uint16_t port = 0; port < 2; ++port) {
        std::array<rte_mbuf*, kBurst> frames;
        const std::uint16_t count = rte_eth_rx_burst(port, 0, frames.data(), kBurst);
        received[port] += count;
        Stream& stream = streams[1 - port];
        for (std::uint16_t i = 0; i < count; ++i) {
          if (i + 4 < count) __builtin_prefetch(rte_pktmbuf_mtod(frames[i + 4], void*), 1);
          stream.address(frames[i]);
        }
        if (count != 0) send(static_cast<std::uint16_t>(1 - port), std::span(frames).first(count));
      }
    }
    const double took = std::chrono::duration<double>(now - start).count();
    return {static_cast<double>(received[0]) / took, static_cast<double>(received[1]) / took};
  }

  // Takes what is on its way, until nothing has come for a while.
  static void drain() {
    auto last = Clock::now();
    while (Clock::now() - last < std::chrono::milliseconds(2)) {
      for (std::uint16_t port = 0; port < 2; ++port) {
        std::array<rte_mbuf*, kBurst> frames;
        const std::uint16_t count = rte_eth_rx_burst(port, 0, frames.data(), kBurst);
        if (count != 0) last = Clock::now();
        rte_pktmbuf_free_bulk(frames.data(), count);
      }
    }
  }

  rte_mempool* pool_ = nullptr;
};

Load parse(std::istringstream& words) {
  Load load;
  words >> load.size >> load.flows >> load.macs >> load.in_flight >> load.settle >> load.seconds;
  if (!words || load.size < 60 || load.size > 1514 || load.flows == 0 || load.macs == 0 ||
      load.in_flight == 0) {
    throw std::runtime_error("use: run SIZE(60-1514) FLOWS MACS IN_FLIGHT SETTLE SECONDS");
  }
  return load;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const int taken = rte_eal_init(argc, argv);
    if (taken < 0) throw std::runtime_error("DPDK does not start; its messages are above");
    if (argc - taken != 2) throw std::runtime_error("usage: loop_guest EAL-OPTIONS... -- CPU");
    Guest guest(std::atoi(argv[taken + 1]));
    std::printf("ready\n");
    std::fflush(stdout);
    for (std::string line; std::getline(std::cin, line) && line != "quit";) {
      std::istringstream words(line);
      std::string verb;
      words >> verb;
      if (verb != "run") throw std::runtime_error("unknown command: " + line);
      const auto rates = guest.run(parse(words));
      std::printf("rates %.0f %.0f\n", rates[0], rates[1]);
      std::fflush(stdout);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "loop_guest: %s\n", error.what());
    return 1;
  }
  return 0;
}

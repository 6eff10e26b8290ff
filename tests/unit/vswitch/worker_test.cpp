#include "vswitch/worker.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <atomic>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "tests/unit/vswitch/memory_port.h"
#include "vswitch/wire.h"

namespace patchbay::vswitch {
namespace {

using namespace std::chrono_literals;
using test::ethernet_frame;
using test::MemoryPort;

TEST(WorkerTest, RunsTasksOnItsOwnThreadAndWaits) {
  Worker worker({});
  std::thread::id id;
  worker.run([&] { id = std::this_thread::get_id(); });
  EXPECT_NE(id, std::thread::id{});
  EXPECT_NE(id, std::this_thread::get_id());
  worker.run([&] { worker.run([&] { EXPECT_EQ(std::this_thread::get_id(), id) << "nested"; }); });
}

TEST(WorkerTest, HandsExceptionsToTheCaller) {
  Worker worker({});
  EXPECT_THROW(worker.run([] { throw std::runtime_error("no"); }), std::runtime_error);
  bool ran = false;
  worker.run([&] { ran = true; });
  EXPECT_TRUE(ran);
}

TEST(WorkerTest, RunsPostedTasksInOrderBeforeItStops) {
  Worker worker({});
  std::vector<int> order;
  for (int i = 0; i < 100; ++i)
    worker.post([&order, i] { order.push_back(i); });
  worker.stop();
  ASSERT_EQ(order.size(), 100u);
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
  worker.run([&] { order.clear(); });
  EXPECT_TRUE(order.empty()) << "after stop() tasks run on the caller's thread";
  worker.stop();
}

TEST(WorkerTest, LosesNoTaskOfManyThreads) {
  Worker worker({});
  int count = 0;  // only ever touched on the worker
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i)
        worker.run([&] { ++count; });
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  worker.stop();
  EXPECT_EQ(count, 2000);
}

TEST(WorkerTest, CallsItsHooksOnTheThread) {
  std::thread::id started, stopped, inside;
  {
    Worker::Options options;
    options.on_start = [&] { started = std::this_thread::get_id(); };
    options.on_stop = [&] { stopped = std::this_thread::get_id(); };
    Worker worker(options);
    worker.run([&] { inside = std::this_thread::get_id(); });
  }
  EXPECT_EQ(started, inside);
  EXPECT_EQ(stopped, inside);
}

TEST(WorkerTest, SaysSoWhenItCannotStart) {
  Worker::Options options;
  options.cpu = 1000;
  try {
    Worker worker(options);
    FAIL() << "no host has CPU 1000 to run this test on";
  } catch (const std::system_error& error) {
    EXPECT_NE(std::string(error.what()).find("cannot run a switch worker on CPU 1000"), std::string::npos);
  }
  options.cpu = -1;
  options.on_start = [] { throw std::runtime_error("hook"); };
  EXPECT_THROW(Worker{options}, std::runtime_error);
}

TEST(WorkerTest, ForwardsAndUsesNoCpuWhenIdle) {
  FileDescriptor event(::eventfd(0, EFD_NONBLOCK));
  MemoryPort a("a"), b("b");
  a.wake_descriptor = b.wake_descriptor = event.get();
  Wire wire("wire", {});
  Worker worker({});
  worker.run([&] {
    wire.attach(a);
    wire.attach(b);
    a.send(ethernet_frame(1, 2));
    worker.add(wire, 0);
  });
  std::size_t received = 0;
  for (int i = 0; i < 30'000 && received == 0; ++i) {
    worker.run([&] { received = b.received.size(); });
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_EQ(received, 1u);

  // It goes to sleep soon, but on a loaded machine nobody knows when: two looks that find it the same.
  Worker::Stats before = worker.stats(), after = before;
  for (int looks = 0; looks < 50; ++looks) {
    std::this_thread::sleep_for(200ms);
    after = worker.stats();
    if (after.passes == before.passes && after.sleeps == before.sleeps) break;
    before = after;
  }
  EXPECT_EQ(after.passes, before.passes);
  EXPECT_EQ(after.sleeps, before.sleeps);
  EXPECT_LT(after.cpu_time - before.cpu_time, 1ms);
  EXPECT_GE(after.sleeps, 1u);

  worker.run([&] { a.send(ethernet_frame(1, 2)); });
  EXPECT_EQ(worker.stats().wake_ups, before.wake_ups) << "a task alone wakes no port";
  ::eventfd_write(event.get(), 1);
  received = 0;
  for (int i = 0; i < 30'000 && received < 2; ++i) {
    worker.run([&] { received = b.received.size(); });
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_EQ(received, 2u);
  EXPECT_EQ(worker.stats().wake_ups, before.wake_ups + 1);
  worker.run([&] { worker.remove(wire, 0); });
}

}  // namespace
}  // namespace patchbay::vswitch

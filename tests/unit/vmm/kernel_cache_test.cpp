#include "vmm/kernel/kernel_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>

#include "bzimage_builder.h"
#include "elf_builder.h"

namespace patchbay::vmm {
namespace {

namespace fs = std::filesystem;

class KernelCacheTest : public testing::Test {
 protected:
  KernelCacheTest() {
    std::string name = fs::temp_directory_path() / "kernel-cache.XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    top_ = name;
  }
  ~KernelCacheTest() override { fs::remove_all(top_); }

  [[nodiscard]] fs::path folder() const { return top_ / "cache/kernels"; }
  [[nodiscard]] std::string kernel() const { return top_ / "bzImage"; }

  static void write(const fs::path& path, const Bytes& bytes) {
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  /// A bzImage whose code is `fill`, and whose time differs with it.
  void write_kernel(std::uint8_t fill) const {
    ElfBuilder elf;
    std::fill(elf.code.begin(), elf.code.end(), std::byte{fill});
    BzImageBuilder image;
    image.payload = xz(elf.build());
    write(kernel(), image.build());
    fs::last_write_time(kernel(), fs::file_time_type::clock::now() - std::chrono::hours(fill));
  }
  /// In a cache, and so a process, of its own.
  [[nodiscard]] std::byte load(std::chrono::seconds settled_after = std::chrono::seconds(0)) const {
    KernelCache cache(folder(), settled_after);
    return cache.load(kernel()).segments()[0].file[0];
  }
  [[nodiscard]] std::vector<fs::path> entries() const {
    std::vector<fs::path> found;
    std::error_code none;
    for (const auto& file : fs::directory_iterator(folder(), none))
      found.push_back(file.path());
    return found;
  }

  fs::path top_;
};

TEST_F(KernelCacheTest, SecondStartTakesWhatTheFirstUnpacked) {
  write_kernel(1);
  EXPECT_EQ(load(), std::byte{1});
  ASSERT_EQ(entries().size(), 1U);
  // The proof: what lies in the cache is what comes out.
  ElfBuilder other;
  std::fill(other.code.begin(), other.code.end(), std::byte{7});
  write(entries()[0], other.build());
  EXPECT_EQ(load(), std::byte{7});
}

TEST_F(KernelCacheTest, ChangedFileIsUnpackedAnew) {
  write_kernel(1);
  EXPECT_EQ(load(), std::byte{1});
  write_kernel(2);
  EXPECT_EQ(load(std::chrono::seconds(60)), std::byte{2});
  EXPECT_EQ(entries().size(), 1U) << "not settled: neither looked up nor kept";
  EXPECT_EQ(load(), std::byte{2});
  EXPECT_EQ(load(), std::byte{2});
  EXPECT_EQ(entries().size(), 2U);
}

TEST_F(KernelCacheTest, DamagedEntryIsReplaced) {
  write_kernel(1);
  EXPECT_EQ(load(), std::byte{1});
  for (const Bytes& damage : {Bytes{}, Bytes(100)}) {
    write(entries().at(0), damage);
    EXPECT_EQ(load(), std::byte{1});
    EXPECT_GT(fs::file_size(entries().at(0)), damage.size());
  }
}

TEST_F(KernelCacheTest, FolderThatOthersMayWriteToIsNotUsed) {
  write_kernel(1);
  fs::create_directories(folder());
  ASSERT_EQ(::chmod(folder().c_str(), 0777), 0);
  EXPECT_EQ(load(), std::byte{1});
  EXPECT_TRUE(entries().empty());
}

TEST_F(KernelCacheTest, FolderThatCannotBeMadeDoesNoHarm) {
  write_kernel(1);
  write(top_ / "cache", Bytes(1));
  EXPECT_EQ(load(), std::byte{1});
}

TEST_F(KernelCacheTest, WithoutFolderNothingIsKept) {
  write_kernel(1);
  KernelCache cache("");
  EXPECT_EQ(cache.load(kernel()).segments()[0].file[0], std::byte{1});
}

TEST_F(KernelCacheTest, ElfFilesAreNotKept) {
  write(kernel(), ElfBuilder().build());
  (void)load();
  EXPECT_TRUE(entries().empty());
}

TEST_F(KernelCacheTest, NumberOfEntriesIsBounded) {
  fs::create_directories(folder());
  ASSERT_EQ(::chmod(folder().c_str(), 0700), 0);
  const auto now = fs::file_time_type::clock::now();
  for (int i = 0; i < 20; ++i) {
    const fs::path entry = folder() / ("1-" + std::to_string(i) + ".vmlinux");
    write(entry, Bytes(1));
    fs::last_write_time(entry, now - std::chrono::hours(i + 1));
  }
  write(folder() / ".partial-old", Bytes(1));
  fs::last_write_time(folder() / ".partial-old", now - std::chrono::hours(2));
  write(folder() / ".partial-new", Bytes(1));
  write_kernel(1);
  EXPECT_EQ(load(), std::byte{1});
  EXPECT_EQ(entries().size(), KernelCache::kEntries + 1);
  EXPECT_TRUE(fs::exists(folder() / ".partial-new")) << "another process is writing it";
  EXPECT_FALSE(fs::exists(folder() / ".partial-old"));
  EXPECT_TRUE(fs::exists(folder() / "1-0.vmlinux")) << "the youngest stay";
  EXPECT_FALSE(fs::exists(folder() / "1-19.vmlinux"));
}

TEST(KernelCacheFolder, EnvironmentDecides) {
  ::setenv("PATCHBAY_CACHE", "/somewhere", 1);
  EXPECT_EQ(KernelCache::standard_folder(), "/somewhere/kernels");
  ::setenv("PATCHBAY_CACHE", "", 1);
  EXPECT_TRUE(KernelCache::standard_folder().empty());
  ::unsetenv("PATCHBAY_CACHE");
  EXPECT_FALSE(KernelCache::standard_folder().empty());
}

}  // namespace
}  // namespace patchbay::vmm

#include "vmm/elf_image.h"

#include <elf.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <limits>

namespace patchbay::vmm {
namespace {

constexpr std::uint32_t kNotePhys32Entry = 18;  // XEN_ELFNOTE_PHYS32_ENTRY, xen/include/public/elfnote.h
constexpr char kNoteOwner[] = "Xen";            // with its terminator
constexpr unsigned kMaxProgramHeaders =
    128;  // kernels have fewer than ten; bounds the work a bad file can cause

/// Reads structures out of the file, never past its end.
class Reader {
 public:
  Reader(std::span<const std::byte> file, const std::string& name) : file_(file), name_(name) {}

  [[noreturn]] void fail(const std::string& what) const { throw ImageError(name_ + ": " + what); }

  [[nodiscard]] std::span<const std::byte> range(std::uint64_t offset, std::uint64_t bytes,
                                                 const char* what) const {
    if (offset > file_.size() || bytes > file_.size() - offset) {
      fail(std::string(what) + " lies outside the file (offset " + std::to_string(offset) + ", " +
           std::to_string(bytes) + " bytes, file of " + std::to_string(file_.size()) +
           " bytes); is it truncated?");
    }
    return file_.subspan(offset, bytes);
  }

  template <typename T>
  [[nodiscard]] T at(std::uint64_t offset, const char* what) const {
    T value;
    std::memcpy(&value, range(offset, sizeof value, what).data(), sizeof value);
    return value;
  }

 private:
  std::span<const std::byte> file_;
  const std::string& name_;
};

std::uint64_t align4(std::uint64_t value) {
  return (value + 3) & ~std::uint64_t{3};
}

/// Looks through one PT_NOTE segment; a note that does not fit ends the search.
std::optional<std::uint32_t> find_pvh_entry(std::span<const std::byte> notes) {
  std::uint64_t position = 0;
  while (notes.size() - position >= sizeof(Elf32_Nhdr)) {
    Elf32_Nhdr header;  // the 64-bit layout is the same
    std::memcpy(&header, notes.data() + position, sizeof header);
    const std::uint64_t owner = position + sizeof header;
    const std::uint64_t value = owner + align4(header.n_namesz);
    const std::uint64_t next = value + align4(header.n_descsz);
    if (value + header.n_descsz > notes.size()) return std::nullopt;
    const bool ours = header.n_namesz == sizeof kNoteOwner &&
                      std::memcmp(notes.data() + owner, kNoteOwner, sizeof kNoteOwner) == 0;
    if (ours && header.n_type == kNotePhys32Entry && header.n_descsz >= 4) {
      std::uint32_t entry;
      std::memcpy(&entry, notes.data() + value, sizeof entry);
      return entry;
    }
    if (next >= notes.size()) return std::nullopt;
    position = next;
  }
  return std::nullopt;
}

template <typename Header, typename ProgramHeader>
void read_program_headers(const Reader& reader, std::vector<ElfImage::Segment>& segments,
                          std::optional<std::uint32_t>& pvh_entry) {
  const auto header = reader.at<Header>(0, "the ELF header");
  if (header.e_phentsize != sizeof(ProgramHeader)) reader.fail("its program headers have an unknown size");
  if (header.e_phnum > kMaxProgramHeaders)
    reader.fail("more than 128 program headers; no kernel has as many");
  for (std::uint64_t i = 0; i < header.e_phnum; ++i) {
    if (header.e_phoff > std::numeric_limits<std::uint64_t>::max() / 2)
      reader.fail("its program headers lie nowhere");
    const auto segment =
        reader.at<ProgramHeader>(header.e_phoff + i * sizeof(ProgramHeader), "a program header");
    if (segment.p_type == PT_NOTE) {
      const auto entry = find_pvh_entry(reader.range(segment.p_offset, segment.p_filesz, "a note segment"));
      if (entry && !pvh_entry) pvh_entry = entry;
    }
    if (segment.p_type != PT_LOAD || segment.p_memsz == 0) continue;
    if (segment.p_filesz > segment.p_memsz) reader.fail("a segment is larger in the file than in memory");
    if (segment.p_memsz > std::numeric_limits<std::uint64_t>::max() - segment.p_paddr) {
      reader.fail("a segment wraps around the end of the address space");
    }
    segments.push_back({segment.p_paddr, segment.p_memsz,
                        reader.range(segment.p_offset, segment.p_filesz, "a loadable segment")});
  }
}

}  // namespace

ElfImage ElfImage::load(const std::string& path) {
  return parse(FileContents::read(path, "kernel image"), path);
}

ElfImage ElfImage::parse(FileContents contents, const std::string& name) {
  ElfImage image;
  image.name_ = name;
  image.contents_ = std::move(contents);
  const Reader reader(image.contents_.bytes(), image.name_);

  const auto ident = reader.at<std::array<unsigned char, EI_NIDENT>>(0, "the ELF identification");
  if (std::memcmp(ident.data(), ELFMAG, SELFMAG) != 0) {
    reader.fail("neither a bzImage nor an ELF file; give a Linux kernel (vmlinuz, bzImage, vmlinux) or an appliance image");
  }
  if (ident[EI_DATA] != ELFDATA2LSB) reader.fail("a big-endian ELF file; x86 kernels are little-endian");
  const auto machine = reader.at<Elf32_Half>(offsetof(Elf32_Ehdr, e_machine), "the ELF header");
  if (machine != EM_X86_64 && machine != EM_386) reader.fail("an ELF file for another processor than x86");

  if (ident[EI_CLASS] == ELFCLASS64) {
    read_program_headers<Elf64_Ehdr, Elf64_Phdr>(reader, image.segments_, image.pvh_entry_);
    image.entry_ = reader.at<Elf64_Ehdr>(0, "the ELF header").e_entry;
    image.is_64bit_ = true;
  } else if (ident[EI_CLASS] == ELFCLASS32) {
    read_program_headers<Elf32_Ehdr, Elf32_Phdr>(reader, image.segments_, image.pvh_entry_);
    image.entry_ = reader.at<Elf32_Ehdr>(0, "the ELF header").e_entry;
  } else {
    reader.fail("an ELF file of unknown class");
  }
  if (image.segments_.empty())
    reader.fail("no loadable segments; is it an object file instead of a linked kernel?");
  return image;
}

}  // namespace patchbay::vmm

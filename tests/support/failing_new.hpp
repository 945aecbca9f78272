#pragma once
// operator new that fails at the nth allocation of a thread, a number of times or for ever. For programs of
// one translation unit: it replaces the allocation functions of the whole program.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace {

/// Of this thread: which of its allocations fail.
struct Allocations {
  std::size_t fail_at = 0;  // 0: none
  std::size_t times = 0;
  std::size_t seen = 0;
  std::size_t failed = 0;
};
constinit thread_local Allocations allocations;

void count_allocation() {
  if (allocations.fail_at == 0) return;
  const std::size_t number = ++allocations.seen;
  if (number < allocations.fail_at || number - allocations.fail_at >= allocations.times) return;
  ++allocations.failed;
  throw std::bad_alloc();
}

void* allocate(std::size_t size) {
  count_allocation();
  if (void* const memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}

void* allocate_aligned(std::size_t size, std::align_val_t alignment) {
  count_allocation();
  const auto align = static_cast<std::size_t>(alignment);
  if (void* const memory = std::aligned_alloc(align, (size + align - 1) / align * align)) return memory;
  throw std::bad_alloc();
}

template <class Allocate>
void* or_null(const Allocate& make) noexcept {
  try {
    return make();
  } catch (...) {
    return nullptr;
  }
}

}  // namespace

// All forms of it: a sanitizer brings its own of those that are not replaced, and would mix them up. Never
// inline, so that the compiler does not take a delete for a wrong one.
[[gnu::noinline]] void* operator new(std::size_t size) { return allocate(size); }
[[gnu::noinline]] void* operator new[](std::size_t size) { return allocate(size); }
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate_aligned(size, alignment);
}
[[gnu::noinline]] void* operator new[](std::size_t size, std::align_val_t alignment) {
  return allocate_aligned(size, alignment);
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return or_null([&] { return allocate(size); });
}
[[gnu::noinline]] void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return or_null([&] { return allocate(size); });
}
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t alignment,
                                     const std::nothrow_t&) noexcept {
  return or_null([&] { return allocate_aligned(size, alignment); });
}
[[gnu::noinline]] void* operator new[](std::size_t size, std::align_val_t alignment,
                                       const std::nothrow_t&) noexcept {
  return or_null([&] { return allocate_aligned(size, alignment); });
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t, const std::nothrow_t&) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete[](void* memory, std::align_val_t, const std::nothrow_t&) noexcept {
  std::free(memory);
}

namespace {

/// Fails allocations from its construction to its destruction.
class Shortage {
 public:
  Shortage(std::size_t at, std::size_t times) {
    allocations.times = times;
    allocations.seen = allocations.failed = 0;
    allocations.fail_at = at;
  }
  Shortage(const Shortage&) = delete;
  Shortage& operator=(const Shortage&) = delete;
  ~Shortage() { allocations.fail_at = 0; }
};

constexpr std::size_t for_ever = SIZE_MAX;

}  // namespace

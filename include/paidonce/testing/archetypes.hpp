#pragma once
// Types that model each concept and do nothing else: no copies, no assignment, no default construction, no
// comparison. What compiles with them asks for no more than the concept says. They answer without meaning;
// they are for the compiler.

#include <optional>
#include <string>
#include <string_view>

#include <paidonce/clock.hpp>
#include <paidonce/codec.hpp>
#include <paidonce/lock.hpp>
#include <paidonce/observer.hpp>
#include <paidonce/store.hpp>

namespace paidonce::inline v1 {

/// Makes archetypes; nothing else does.
struct MakeArchetype {
  explicit MakeArchetype() = default;
};

/// What all of them are: movable once, into the guard that owns them, and nothing more.
class Archetype {
 public:
  explicit Archetype(MakeArchetype) noexcept {}
  Archetype(Archetype&&) noexcept = default;
  Archetype& operator=(Archetype&&) = delete;
  template <class T>
  void operator,(T&&) const = delete;

 protected:
  ~Archetype() = default;
};

struct StoreArchetype : Archetype {
  using Archetype::Archetype;
  std::optional<Record> find(const IdempotencyKey&) { return std::nullopt; }
  std::optional<Record> insert(const IdempotencyKey&, const Record&) { return std::nullopt; }
  bool replace(const IdempotencyKey&, Version, const Record&) { return true; }
};

/// A store that cannot even be moved: a guard refers to it.
struct PinnedStoreArchetype : StoreArchetype {
  using StoreArchetype::StoreArchetype;
  PinnedStoreArchetype(PinnedStoreArchetype&&) = delete;
};

struct LockArchetype : Archetype {
  using Archetype::Archetype;

  class Hold {
   public:
    Hold(Hold&&) noexcept = default;
    Hold& operator=(Hold&&) noexcept = default;
    ~Hold() {}

   private:
    friend LockArchetype;
    explicit Hold(MakeArchetype) noexcept {}
  };

  std::optional<Hold> acquire(const IdempotencyKey&, Duration) {
    return std::optional<Hold>(Hold(MakeArchetype()));
  }
};

struct ClockArchetype : Archetype {
  using Archetype::Archetype;
  Timestamp now() { return Timestamp(Duration(1)); }
};

struct ObserverArchetype : Archetype {
  using Archetype::Archetype;
  void on(const events::Began&) noexcept {}
  void on(const events::Replayed&) noexcept {}
  void on(const events::Refused&) noexcept {}
  void on(const events::Waited&) noexcept {}
  void on(const events::Completed&) noexcept {}
  void on(const events::InDoubt&) noexcept {}
  void on(const events::LeaseLost&) noexcept {}
  void on(const events::StoreFailed&) noexcept {}
};

/// A result of a payment that has a codec and can be moved.
struct ResultArchetype : Archetype {
  using Archetype::Archetype;
};

template <>
struct Codec<ResultArchetype> {
  static constexpr std::string_view format = "archetype";
  static std::string encode(const ResultArchetype&) { return {}; }
  static ResultArchetype decode(std::string_view) { return ResultArchetype(MakeArchetype()); }
};

static_assert(Store<StoreArchetype> && Store<PinnedStoreArchetype> && Lock<LockArchetype> &&
              Clock<ClockArchetype> && Observer<ObserverArchetype> && Encodable<ResultArchetype>);
static_assert(!ScannableStore<StoreArchetype> && !SweepableStore<StoreArchetype> &&
              !HolderAwareStore<StoreArchetype> && !TransactionalStore<StoreArchetype> &&
              !InterruptibleLock<LockArchetype> && !LossAwareLock<LockArchetype>);

}  // namespace paidonce::inline v1

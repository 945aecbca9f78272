// What the compiler can say about guards: what they own or refer to, how they are made, what they return.

#include <paidonce/paidonce.hpp>

#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

using namespace paidonce;

namespace {

struct Listener {
  template <class Event>
  void on(const Event&) const noexcept {}
};

using Guard = IdempotencyGuard<MemoryStore>;
static_assert(std::same_as<Guard, IdempotencyGuard<MemoryStore, KeyedMutex, SystemClock, NoObserver>>);

// Neither copied nor moved: attempts and waiters refer to it.
static_assert(!std::copy_constructible<Guard> && !std::move_constructible<Guard>);
static_assert(!std::is_copy_assignable_v<Guard> && !std::is_move_assignable_v<Guard>);
static_assert(!std::is_convertible_v<MemoryStore, Guard>, "a guard is made on purpose");
static_assert(!std::is_default_constructible_v<Guard>, "a guard has a store that somebody chose");

static_assert(std::is_constructible_v<Guard, MemoryStore>);
static_assert(std::is_constructible_v<Guard, MemoryStore, GuardOptions>);
static_assert(std::is_constructible_v<Guard, MemoryStore, KeyedMutex, GuardOptions>);
static_assert(std::is_constructible_v<Guard, MemoryStore, KeyedMutex, SystemClock, GuardOptions, NoObserver>);
static_assert(!std::is_constructible_v<Guard, MemoryStore&>, "a guard that owns its store is given it");
static_assert(!std::is_constructible_v<Guard, MemoryStore, GuardOptions, KeyedMutex>);
static_assert(std::is_constructible_v<IdempotencyGuard<MemoryStore&>, MemoryStore&>);
static_assert(!std::is_constructible_v<IdempotencyGuard<MemoryStore&>, MemoryStore>,
              "a guard does not refer to a temporary");

// Lvalues are referred to, rvalues moved in.
using S = MemoryStore;
using L = NoLock;
using C = SystemClock;
using O = Listener;
using Options = GuardOptions;

static_assert(std::same_as<decltype(IdempotencyGuard(S())), IdempotencyGuard<S>>);
static_assert(std::same_as<decltype(IdempotencyGuard(std::declval<S&>())), IdempotencyGuard<S&>>);
static_assert(std::same_as<decltype(IdempotencyGuard(S(), Options{})), IdempotencyGuard<S>>);
static_assert(std::same_as<decltype(IdempotencyGuard(std::declval<S&>(), Options{})), IdempotencyGuard<S&>>);
static_assert(std::same_as<decltype(IdempotencyGuard(S(), L())), IdempotencyGuard<S, L>>);
static_assert(std::same_as<decltype(IdempotencyGuard(S(), std::declval<L&>())), IdempotencyGuard<S, L&>>);
static_assert(
    std::same_as<decltype(IdempotencyGuard(std::declval<S&>(), L(), Options{})), IdempotencyGuard<S&, L>>);
static_assert(std::same_as<decltype(IdempotencyGuard(S(), L(), C())), IdempotencyGuard<S, L, C>>);
static_assert(std::same_as<decltype(IdempotencyGuard(S(), L(), std::declval<C&>(), Options{})),
                           IdempotencyGuard<S, L, C&>>);
static_assert(
    std::same_as<decltype(IdempotencyGuard(S(), L(), C(), Options{}, O())), IdempotencyGuard<S, L, C, O>>);
static_assert(std::same_as<decltype(IdempotencyGuard(std::declval<S&>(), std::declval<L&>(),
                                                     std::declval<C&>(), Options{}, std::declval<O&>())),
                           IdempotencyGuard<S&, L&, C&, O&>>);

template <class... Arguments>
concept Deduces = requires(Arguments&&... arguments) {
  IdempotencyGuard(std::forward<Arguments>(arguments)...);
};
static_assert(Deduces<S> && Deduces<S&, Options>);
static_assert(!Deduces<int> && !Deduces<std::string> && !Deduces<L> && !Deduces<L, S>);
static_assert(!Deduces<S, Listener> && !Deduces<const S&>);

// What `execute` returns follows from what the callable returns.
[[maybe_unused]] const auto text = [] { return "paid"; };
[[maybe_unused]] const auto view = [](Attempt&) { return std::string_view("paid"); };
[[maybe_unused]] const auto number = [] { return 450; };
[[maybe_unused]] const auto result = [](Attempt&) -> PaymentResult<std::int64_t> {
  return not_executed("why");
};
[[maybe_unused]] const auto reference = []() -> const std::string& {
  static const std::string paid = "paid";
  return paid;
};
[[maybe_unused]] const auto bytes = [](Attempt&) { return succeeded(std::vector<unsigned char>{1}); };

template <class Pay>
using executed_t = decltype(std::declval<Guard&>().execute(
    std::declval<const IdempotencyKey&>(), std::declval<const Fingerprint&>(), std::declval<Pay>()));
static_assert(std::same_as<executed_t<decltype(text)>, Outcome<std::string>>);
static_assert(std::same_as<executed_t<decltype(view)&>, Outcome<std::string>>);
static_assert(std::same_as<executed_t<decltype(number)>, Outcome<int>>);
static_assert(std::same_as<executed_t<decltype(result)>, Outcome<std::int64_t>>);
static_assert(std::same_as<executed_t<decltype(reference)>, Outcome<std::string>>);
static_assert(std::same_as<executed_t<decltype(bytes)>, Outcome<std::vector<unsigned char>>>);
static_assert(std::same_as<executed_t<std::string (*)(Attempt&)>, Outcome<std::string>>);
static_assert(std::same_as<executed_t<std::string (&)()>, Outcome<std::string>>);

static_assert(std::same_as<decltype(std::declval<Guard&>().find(std::declval<const IdempotencyKey&>())),
                           std::optional<Record>>);
static_assert(std::same_as<decltype(std::declval<Guard&>().store()), MemoryStore&>);
static_assert(std::same_as<decltype(std::declval<IdempotencyGuard<MemoryStore&>&>().store()), MemoryStore&>);
static_assert(std::same_as<decltype(std::declval<Guard&>().clock()), SystemClock&>);
static_assert(noexcept(std::declval<Guard&>().shut_down()));

// An attempt belongs to the run that it was made for.
static_assert(!std::copy_constructible<Attempt> && !std::move_constructible<Attempt>);
static_assert(!std::is_default_constructible_v<Attempt> && !std::is_destructible_v<Attempt>);
static_assert(noexcept(std::declval<const Attempt&>().lease_lost()));

// Options can be written by name, and copied about.
static_assert(std::is_aggregate_v<GuardOptions> && std::copyable<GuardOptions>);
static_assert(std::is_aggregate_v<CallOptions> && std::copyable<CallOptions>);
constexpr GuardOptions defaults;
static_assert(defaults.lease == std::chrono::seconds(30) && defaults.retention == std::chrono::hours(24) &&
              defaults.wait == Duration(0) && defaults.heartbeat && !defaults.provider_deduplicates &&
              defaults.provider_remembers == std::chrono::hours(24));

}  // namespace

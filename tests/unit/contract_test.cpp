// Every name and form of the public interface, written as a program would write it.
#include <deque>
#include <map>
#include <paidonce/codecs/json.hpp>
#include <paidonce/money/money.hpp>
#include <paidonce/paidonce.hpp>
#include <paidonce/testing/archetypes.hpp>
#include <paidonce/testing/fault_store.hpp>
#include <paidonce/testing/lock_conformance.hpp>
#include <paidonce/testing/manual_clock.hpp>
#include <paidonce/testing/store_conformance.hpp>
#include <paidonce/testing/store_skeleton.hpp>
#include <sstream>
#include <unordered_set>
#include "support/catch.hpp"

using namespace paidonce;
using namespace std::chrono_literals;
using namespace std::string_literals;
static_assert(std::is_same_v<paidonce::Duration, std::chrono::milliseconds>);
static_assert(std::is_same_v<paidonce::Timestamp, std::chrono::sys_time<std::chrono::milliseconds>>);
static_assert(std::is_same_v<paidonce::Version, std::uint64_t>);
static_assert(std::is_same_v<paidonce::v1::Record, paidonce::Record>);
static_assert(std::is_aggregate_v<Record> && std::regular<Record>);
static_assert(std::is_aggregate_v<CallOptions> && std::is_aggregate_v<GuardOptions> &&
              std::is_aggregate_v<ScanFilter>);
static_assert(static_cast<int>(State::in_progress) == 1 && static_cast<int>(State::succeeded) == 2 &&
              static_cast<int>(State::declined) == 3 && static_cast<int>(State::in_doubt) == 4 &&
              static_cast<int>(State::released) == 5);
static_assert(static_cast<int>(errc::invalid_key) == 1 && static_cast<int>(errc::unsupported_format) == 17);
static_assert(std::is_error_code_enum_v<errc> && std::is_base_of_v<std::system_error, Error> &&
              std::is_base_of_v<std::runtime_error, NotExecuted>);
static_assert(Store<MemoryStore> && Store<MemoryStore&> && ScannableStore<MemoryStore> &&
              SweepableStore<MemoryStore> && !TransactionalStore<MemoryStore>);
static_assert(Lock<KeyedMutex> && Lock<NoLock> && Clock<SystemClock> && Clock<ManualClock> &&
              Observer<NoObserver>);
static_assert(MemoryStore::local_find);
static_assert(!std::is_copy_constructible_v<KeyedMutex::Hold> &&
              std::is_move_constructible_v<KeyedMutex::Hold>);
static_assert(std::is_move_constructible_v<MemoryStore> && std::is_move_assignable_v<MemoryStore>);
static_assert(!std::is_copy_constructible_v<IdempotencyGuard<MemoryStore>> &&
              !std::is_move_constructible_v<IdempotencyGuard<MemoryStore>>);
static_assert(!std::is_default_constructible_v<IdempotencyGuard<MemoryStore>>);
static_assert(!std::is_convertible_v<MemoryStore, IdempotencyGuard<MemoryStore>>, "explicit");
static_assert(std::is_same_v<decltype(std::declval<const Attempt&>().provider_key()), std::string_view>);
static_assert(std::is_same_v<decltype(std::declval<const Attempt&>().fence()), Version>);
static_assert(std::is_same_v<decltype(std::declval<const Attempt&>().number()), std::uint32_t>);
static_assert(std::is_same_v<decltype(std::declval<const Attempt&>().checkpoint()), std::string>);
static_assert(std::is_same_v<decltype(std::declval<const Attempt&>().lease_until()), Timestamp>);
static_assert(noexcept(std::declval<const Attempt&>().lease_lost()));
static_assert(std::is_same_v<decltype(std::declval<const Attempt&>().key()), const IdempotencyKey&>);
template <class O>
concept RvalueEvidence = requires(O o) {
  std::move(o).evidence();
};
static_assert(!RvalueEvidence<Outcome<int>>);
static_assert(std::is_same_v<decltype(std::declval<const Outcome<int>&>().response()), const int&>);
static_assert(std::is_same_v<decltype(std::declval<Outcome<int>>().response()), int>);
static_assert(std::is_same_v<decltype(std::declval<const Outcome<int>&>().evidence()), const int*>);
static_assert(std::is_same_v<decltype(std::declval<const Outcome<int>&>().reason()), const std::string&>);
static_assert(std::is_same_v<decltype(std::declval<const Outcome<int>&>().cause()), std::exception_ptr>);
static_assert(std::is_same_v<decltype(std::declval<const Outcome<int>&>().retry_after()), Duration>);
static_assert(
    std::is_same_v<decltype(std::declval<const Outcome<int>&>().evidence_state()), std::optional<State>>);
static_assert(std::is_same_v<decltype(succeeded("x")), PaymentResult<std::string>>);
static_assert(std::is_same_v<decltype(succeeded(std::string_view{})), PaymentResult<std::string>>);
static_assert(
    std::is_same_v<decltype(succeeded(std::declval<const std::string&>())), PaymentResult<std::string>>);
static_assert(std::is_same_v<decltype(declined(std::declval<char*>())), PaymentResult<std::string>>);
static_assert(std::is_same_v<decltype(declined(5)), PaymentResult<int>>);
static_assert(std::is_convertible_v<decltype(not_executed("x")), PaymentResult<int>>);
static_assert(std::is_convertible_v<decltype(in_doubt("x")), PaymentResult<std::string>>);
static_assert(std::is_convertible_v<PaymentResult<int>, PaymentResult<long>>);
static_assert(!std::is_convertible_v<PaymentResult<int>, PaymentResult<std::string>>);
static_assert(std::is_same_v<decltype(Codec<std::string>::format), const std::string_view>);
static_assert(Encodable<std::vector<std::byte>> && Encodable<std::vector<unsigned char>> && Encodable<int> &&
              Encodable<std::int8_t> && Encodable<std::uint8_t> && Encodable<long long> && Encodable<Money>);

struct Own {
  int a;
  std::string b;
};
template <class Sink>
void fingerprint_parts(Sink& sink, const Own& o) {
  sink(o.a, o.b);
}
enum class Colour { red };
struct Listens {
  int* n;
  void on(const events::Began&) noexcept { ++*n; }
  void on(const events::Replayed&) noexcept { ++*n; }
  void on(const events::Refused&) noexcept { ++*n; }
  void on(const events::Waited&) noexcept { ++*n; }
  void on(const events::Completed&) noexcept { ++*n; }
  void on(const events::InDoubt&) noexcept { ++*n; }
  void on(const events::LeaseLost&) noexcept { ++*n; }
  void on(const events::StoreFailed&) noexcept { ++*n; }
};
struct MoveOnly {
  std::unique_ptr<int> p;
};
template <>
struct paidonce::Codec<MoveOnly> {
  static std::string encode(const MoveOnly& m) { return std::to_string(*m.p); }
  static MoveOnly decode(std::string_view b) { return {std::make_unique<int>(std::stoi(std::string(b)))}; }
  static constexpr std::string_view format = "mo";
};
struct J {
  int x;
  std::string y;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(J, x, y)

namespace {

std::string plain_function(Attempt&) { return "f"; }
std::string plain_nothing() noexcept { return "f"; }
int on_reused(outcome::KeyReused) { return 3; }

}  // namespace

TEST_CASE("every public name means what its page says", "[contract]") {
  // keys
  IdempotencyKey key{"coffee-shop", "order-1001"};
  CHECK((key.scope() == "coffee-shop" && key.text() == "order-1001" &&
         IdempotencyKey::from_bytes(key.bytes()) == key));
  std::unordered_set<IdempotencyKey> set{key, IdempotencyKey::generate("x")};
  CHECK((uuid_v4().size() == 36 && uuid_v7(Timestamp{}).size() == 36));
  // fingerprints
  Fingerprint none;
  Fingerprint fp = fingerprint("order-1001", "4.50", "EUR");
  CHECK((Fingerprint::from_hex(fp.hex()) == fp && !(none == fp)));
  (void)fingerprint(1, 2u, std::int8_t{3}, 4ull, true, Colour::red, std::optional<int>{},
                    std::optional<std::string>{"a"}, std::vector<int>{1}, std::string("s"),
                    std::string_view("v"), "lit", Own{1, "b"}, std::vector<std::string>{"x"},
                    Money::parse("4.50", "EUR"), std::vector<Own>{{1, "x"}}, std::optional<Money>{},
                    std::array<int, 2>{1, 2}, std::vector<bool>{true}, std::map<std::string, std::string>{});
  CHECK((fingerprint("ab", "c") != fingerprint("a", "bc") && fingerprint(1) == fingerprint(1ll)));
  Fingerprinter fpr{"secret", {"old"}};
  Fingerprinter fpr2{"secret"};
  CHECK((fpr("x") == fpr2("x")));
  // record
  Record record;
  CHECK((record_from_bytes(to_bytes(record)) == record));
  record = Record{.fingerprint = fp,
                  .state = State::succeeded,
                  .version = 1,
                  .attempt_id = 2,
                  .attempts = 3,
                  .created_at = {},
                  .updated_at = {},
                  .lease_until = {},
                  .expires_at = {},
                  .amount = "a",
                  .description = "d",
                  .checkpoint = "c",
                  .response = "r",
                  .response_format = "text",
                  .note = "n"};
  // errors
  Error e1{errc::store_full};
  Error e2{errc::store_full, "what"};
  CHECK((e1.code() == errc::store_full && retryable(e1) && !retryable(Error{errc::lease_lost})));
  for (auto c :
       {errc::invalid_key, errc::invalid_options, errc::store_unavailable, errc::store_full,
        errc::store_corrupt, errc::store_busy, errc::store_replaced, errc::store_poisoned, errc::store_forked,
        errc::unsafe_config, errc::lock_unavailable, errc::lease_lost, errc::wrong_state, errc::codec_failure,
        errc::reentrant_call, errc::shutting_down, errc::unsupported_format})
    CHECK((Error(c).code() == c));
  std::error_code ec = errc::store_full;
  (void)ec;

  // constructors and deduction
  {
    IdempotencyGuard g{MemoryStore{}};
    static_assert(std::is_same_v<decltype(g), IdempotencyGuard<MemoryStore>>);
  }
  MemoryStore store;
  KeyedMutex lock;
  NoLock nolock;
  ManualClock clock;
  int heard = 0;
  Listens listens{&heard};
  {
    IdempotencyGuard g{store};
    static_assert(std::is_same_v<decltype(g), IdempotencyGuard<MemoryStore&>>);
    CHECK((&g.store() == &store));
  }
  {
    IdempotencyGuard g{store, GuardOptions{.lease = 5s}};
    static_assert(std::is_same_v<decltype(g), IdempotencyGuard<MemoryStore&>>);
  }
  {
    IdempotencyGuard g{store,
                       {.lease = 5s,
                        .retention = 1h,
                        .wait = 1s,
                        .heartbeat = false,
                        .provider_deduplicates = true,
                        .provider_remembers = 1h}};
    (void)g;
  }
  {
    const GuardOptions o{};
    IdempotencyGuard g{MemoryStore{}, o};
    IdempotencyGuard g2(MemoryStore{MemoryStoreOptions{}}, GuardOptions{});
    (void)g;
    (void)g2;
  }
  {
    IdempotencyGuard g{store, KeyedMutex{}};
    static_assert(std::is_same_v<decltype(g), IdempotencyGuard<MemoryStore&, KeyedMutex>>);
  }
  {
    IdempotencyGuard g{store, lock};
    static_assert(std::is_same_v<decltype(g), IdempotencyGuard<MemoryStore&, KeyedMutex&>>);
  }
  {
    IdempotencyGuard g{store, nolock, GuardOptions{}};
    static_assert(std::is_same_v<decltype(g), IdempotencyGuard<MemoryStore&, NoLock&>>);
  }
  {
    IdempotencyGuard g{store, lock, {.lease = 5s}};
    (void)g;
  }
  {
    IdempotencyGuard g{store, lock, clock};
    static_assert(std::is_same_v<decltype(g), IdempotencyGuard<MemoryStore&, KeyedMutex&, ManualClock&>>);
    CHECK((&g.clock() == &clock));
  }
  {
    IdempotencyGuard g{MemoryStore{}, NoLock{}, SystemClock{}, GuardOptions{}};
    (void)g;
  }
  {
    IdempotencyGuard g{MemoryStore{}, NoLock{}, SystemClock{}, GuardOptions{}, listens};
    static_assert(std::is_same_v<decltype(g), IdempotencyGuard<MemoryStore, NoLock, SystemClock, Listens&>>);
  }
  {
    IdempotencyGuard g{MemoryStore{}, NoLock{}, SystemClock{}, {.wait = 1s}, Listens{&heard}};
    (void)g;
  }
  {
    IdempotencyGuard<MemoryStore> g{MemoryStore{}};
    IdempotencyGuard<MemoryStore> g2{MemoryStore{}, GuardOptions{}};
    IdempotencyGuard<MemoryStore, NoLock, ManualClock> g3{MemoryStore{}};
    IdempotencyGuard<MemoryStore> g4{MemoryStore{}, KeyedMutex{}, SystemClock{}, {}, NoObserver{}};
    IdempotencyGuard<MemoryStore, NoLock> g5{MemoryStore{}, NoLock{}, GuardOptions{}};
  }
  {
    auto g = std::make_unique<IdempotencyGuard<MemoryStore>>(MemoryStore{});
    (void)g;
  }
  {
    SkeletonStore s;
    IdempotencyGuard g{s};
    FaultStore f{store};
    IdempotencyGuard g2{f};
    FaultStore f2{MemoryStore{}};
    (void)f2;
  }

  IdempotencyGuard guard{store, lock, clock};
  Outcome<std::string> outcome = guard.execute(key, fp, [&](Attempt& attempt) -> PaymentResult<std::string> {
    CHECK((attempt.key() == key && attempt.number() == 1 && attempt.fence() > 0 &&
           attempt.provider_key().size() == 36 && !attempt.lease_lost()));
    (void)attempt.lease_until();
    attempt.extend_lease();
    attempt.save_checkpoint("one");
    CHECK((attempt.checkpoint() == "one"));
    if (attempt.number() == 7) return declined("no");
    if (attempt.number() == 8) return not_executed("gateway refused");
    if (attempt.number() == 9) return in_doubt("?");
    return succeeded("body");
  });
  CHECK((outcome.status() == Status::completed && outcome.succeeded() && !outcome.declined() &&
         !outcome.replayed() && outcome.response() == "body" && !outcome.evidence() &&
         !outcome.evidence_state() && !outcome.cause() && outcome.reason().empty() &&
         outcome.retry_after() == 0ms));
  const int code = outcome.visit(
      [](outcome::Completed<std::string> c) {
        return c.succeeded && !c.replayed && c.response == "body" ? 1 : 0;
      },
      [](outcome::InProgress p) { return p.retry_after > 0ms ? 2 : 0; }, &on_reused,
      [](const outcome::InDoubt<std::string>& d) {
        return d.evidence ? 4 : d.cause ? 5 : static_cast<int>(d.reason.size());
      },
      [](outcome::NotExecuted n) { return static_cast<int>(n.reason.size()); },
      [](outcome::Refused) { return 6; });
  CHECK((code == 1));
  outcome.visit([](outcome::Completed<std::string>) {}, [](outcome::InProgress) {}, [](outcome::KeyReused) {},
                [](outcome::InDoubt<std::string>) {}, [](outcome::NotExecuted) {}, [](outcome::Refused) {});
  const auto fresh = [] { return IdempotencyKey::generate("t"); };
  CHECK((guard.execute(fresh(), fp, plain_function).response() == "f"));
  CHECK((guard.execute(fresh(), fp, &plain_function).response() == "f"));
  CHECK((guard.execute(fresh(), fp, plain_nothing).response() == "f"));
  std::function<std::string(Attempt&)> stdf = plain_function;
  CHECK((guard.execute(fresh(), fp, stdf).response() == "f"));
  CHECK((guard.execute(fresh(), fp, std::as_const(stdf)).response() == "f"));
  CHECK((guard.execute(fresh(), fp, [] { return "literal"; }).response() == "literal"));
  CHECK((guard.execute(fresh(), fp, []() -> std::string_view { return "sv"; }).response() == "sv"));
  CHECK((guard.execute(fresh(), fp, [] { return 7; }).response() == 7));
  CHECK((guard.execute(fresh(), fp, [](auto& a) { return a.number(); }).response() == 1u));
  CHECK((guard.execute(fresh(), fp, [](const Attempt& a) { return a.number(); }).response() == 1u));
  CHECK((guard.execute(fresh(), fp, [n = 0]() mutable { return ++n; }).response() == 1));
  const std::string kept = "kept";
  CHECK((guard.execute(fresh(), fp, [&]() -> const std::string& { return kept; }).response() == "kept"));
  CHECK((*guard.execute(fresh(), fp, [] { return MoveOnly{std::make_unique<int>(3)}; }).response().p == 3));
  CHECK(
      (*guard
            .execute(fresh(), fp,
                     []() -> PaymentResult<MoveOnly> { return declined(MoveOnly{std::make_unique<int>(3)}); })
            .response()
            .p == 3));
  CHECK((guard.execute(fresh(), fp, []() -> PaymentResult<long> { return succeeded(3); }).response() == 3));
  CHECK((guard.execute(fresh(), fp, []() { return PaymentResult<std::string>::declined("d"); }).declined()));
  CHECK(
      (guard.execute(fresh(), fp, []() { return PaymentResult<std::string>::succeeded("d"); }).succeeded()));
  CHECK(
      (guard.execute(fresh(), fp, []() { return PaymentResult<std::string>::not_executed("d"); }).status() ==
       Status::not_executed));
  CHECK((guard.execute(fresh(), fp, []() { return PaymentResult<std::string>::in_doubt("d"); }).status() ==
         Status::in_doubt));
  CHECK((guard.execute(fresh(), fp, []() -> std::string { throw NotExecuted{"x"}; }).status() ==
         Status::not_executed));
  CHECK((guard
             .execute(fresh(), fp,
                      [](Attempt& a) -> std::string {
                        a.save_checkpoint("1");
                        throw NotExecuted{"x"};
                      })
             .status() == Status::in_doubt));
  CHECK((guard.execute(fresh(), fp, [] { return J{1, "a"}; }).response().y == "a"));
  CHECK((guard.execute(fresh(), fp, [] { return std::vector<std::byte>{std::byte{1}}; }).response().size() ==
         1));
  CHECK(
      (guard.execute(fresh(), fp, [] { return Money::parse("4.50", "EUR"); }).response().amount() == "4.50"));
  // options
  CHECK((guard.execute(fresh(), fp, [] { return 1; }, {.lease = 5s}).succeeded()));
  CHECK((guard
             .execute(fresh(), fp, [] { return 1; },
                      {.lease = 5s,
                       .retention = 1h,
                       .wait = 1s,
                       .refuse_if = [] { return std::optional<std::string>("no"); },
                       .amount = "4.50 EUR",
                       .description = "coffee"})
             .status() == Status::refused));
  CHECK((guard
             .execute(fresh(), fp, [] { return 1; },
                      {.refuse_if = []() -> std::optional<std::string> { return {}; }})
             .succeeded()));
  CallOptions co{.amount = "1"};
  CHECK((guard
             .execute(
                 fresh(), fp, [] { return 1; }, co)
             .succeeded()));
  CHECK((guard.execute(fresh(), fp, [] { return 1; }, {}).succeeded()));
  // reconcile
  const auto k2 = fresh();
  CHECK((guard.execute(k2, fp, []() -> PaymentResult<int> { return in_doubt("?"); }).status() ==
         Status::in_doubt));
  CHECK((
      guard
          .execute(
              k2, fp, [] { return 1; }, [](const Record&) -> PaymentResult<int> { return in_doubt("still"); })
          .status() == Status::in_doubt));
  CHECK((guard
             .execute(
                 k2, fp, [] { return 1; },
                 [](const Record& r) -> PaymentResult<int> {
                   (void)r.created_at;
                   return succeeded(2);
                 },
                 {.lease = 5s})
             .response() == 2));
  CHECK((guard
             .execute(
                 fresh(), fp, [] { return 1; }, [](const Record&) { return succeeded(2); }, co)
             .response() == 1));
  const auto k3 = fresh();
  (void)guard.execute(k3, fp, []() -> PaymentResult<std::string> { return in_doubt("?"); });
  CHECK((guard.reconcile<std::string>(k3, [](const Record&) { return succeeded("r"); }).response() == "r"));
  const auto k4 = fresh();
  (void)guard.execute(k4, fp, []() -> PaymentResult<std::string> { return in_doubt("?"); });
  Outcome<std::string> resolved = guard.resolve(k4, succeeded("r"), "ann", "saw it");
  CHECK((resolved.succeeded()));
  const auto k5 = fresh();
  (void)guard.execute(k5, fp, []() -> PaymentResult<std::string> { return in_doubt("?"); });
  CHECK(
      (guard.resolve<std::string>(k5, not_executed("r"), "ann", "saw it").status() == Status::not_executed));
  const auto k6 = fresh();
  (void)guard.execute(k6, fp, []() -> PaymentResult<std::string> { return in_doubt("?"); });
  guard.resolve(k6, State::released, "", "", "ann", "why");
  guard.resolve(k4.text() == "" ? k4 : [&]{ auto k = fresh(); (void)guard.execute(k, fp, []() -> PaymentResult<std::string> { return in_doubt("?"); }); return k; }(), PaymentResult<std::string>::declined("x"), "ann", "why");
  CHECK((guard.find(k6)->state == State::released));
  try {
    (void)guard.reconcile<std::string>(fresh(), [](const Record&) { return succeeded("r"); });
    CHECK((false));
  } catch (const Error& e) {
    CHECK((e.code() == errc::wrong_state));
  }
  try {
    (void)guard.execute(fresh(), fp, []() -> PaymentResult<std::string> { return in_doubt("x"); }).response();
    CHECK((false));
  } catch (const std::logic_error& e) {
    CHECK((std::string(e.what()).find("in_doubt") != std::string::npos));
  }
  std::optional<Record> r = guard.find(key);
  MemoryStore& s = guard.store();
  ManualClock& c = guard.clock();
  (void)s;
  c.advance(-1ms);
  c.set(Timestamp{1700000000000ms});
  // scan, sweep
  ScanFilter filter{.states = {State::succeeded}, .updated_before = std::nullopt, .limit = 10, .after = ""};
  store.scan(filter, [](const IdempotencyKey&, const Record&) -> bool { return true; });
  std::size_t erased = store.erase_expired(Timestamp::max(), 5);
  CHECK((erased == 5));
  std::optional<KeyedMutex::Hold> hold = lock.acquire(key, 0ms);
  CHECK((hold && !lock.acquire(key, 1ms)));
  // money
  Money m = Money::minor(450, "EUR");
  CHECK((m == Money::parse("4.50", "EUR") && m.minor_units() == 450 && m.currency().code() == "EUR" &&
         m.currency().exponent() == 2 && Currency::of("XAU").exponent() == -1));
  boost::multiprecision::checked_int128_t units = m.minor_units();
  (void)units;
  CHECK(((m + m - m) * 2 == 2 * m && -m < m && (m <=> m) == 0));
  std::ostringstream os;
  os << m;
  CHECK((os.str() == "4.50 EUR"));
  Currency points("PTS", 0);
  CHECK((Money::minor(5, points).amount() == "5" && Money::parse("5", points).minor_units() == 5));
  for (auto rr : {Rounding::half_even, Rounding::half_up, Rounding::down, Rounding::up, Rounding::floor,
                  Rounding::ceiling})
    (void)multiply(m, "0.19", rr);
  const std::vector<std::int64_t> w{1, 1, 1};
  std::vector<Money> parts = allocate(m, w);
  const std::int64_t w2[] = {1, 2};
  (void)allocate(m, w2);
  CHECK((parts.size() == 3));
  (void)Money::minor(std::int64_t{5}, "EUR");
  m += m;
  m -= Money::minor(1, "EUR");
  m *= 3;
  try {
    (void)Money::parse("1e3", "EUR");
  } catch (const MoneyError& e) {
    CHECK((e.code() == money_errc::bad_amount));
  }
  for (auto me : {money_errc::unknown_currency, money_errc::bad_amount, money_errc::too_many_decimals,
                  money_errc::overflow, money_errc::currency_mismatch, money_errc::bad_weights})
    (void)me;
  guard.shut_down();
  static_assert(noexcept(guard.shut_down()));
  try {
    (void)guard.execute(key, fp, [] { return 1; });
    CHECK((false));
  } catch (const Error& e) {
    CHECK((e.code() == errc::shutting_down));
  }
}

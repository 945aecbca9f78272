// Only a store with transactions executes in one.
// expect: TransactionalStore
#include <paidonce/paidonce.hpp>
#ifdef FIXED
#include <paidonce/testing/transactional_store.hpp>
using Chosen = paidonce::TransactionalMemoryStore;
using Transaction = Chosen::Transaction;
#else
using Chosen = paidonce::MemoryStore;
struct Transaction {};
#endif

void pay(paidonce::IdempotencyGuard<Chosen>& guard, const paidonce::IdempotencyKey& key) {
  (void)guard.execute_in_transaction(key, paidonce::fingerprint(1),
                                     [](paidonce::Attempt&, Transaction&) { return 1; });
}

// A worker's reconcile function is told of what the message asked for, too; a guard's is not.
// expect: a worker's reconcile function takes (const Record&, const PaymentRequest<T>&)
#include <paidonce/paidonce.hpp>
#include <paidonce/queue/memory_queue.hpp>
#include <paidonce/queue/payment_worker.hpp>

using namespace paidonce;

void work(IdempotencyGuard<MemoryStore>& guard, MemoryQueue<>& queue, Stop& stop) {
  const auto read = [](const Message& message) {
    return PaymentRequest<int>{{"shop", message.body}, fingerprint(message.body), 1};
  };
  const auto pay = [](Attempt&, int) { return 1; };
#ifdef FIXED
  const auto ask = [](const Record&, const PaymentRequest<int>&) -> PaymentResult<int> {
    return in_doubt("not found");
  };
#else
  const auto ask = [](const Record&) -> PaymentResult<int> { return in_doubt("not found"); };
#endif
  PaymentWorker worker(guard, queue, read, pay, ask, {.threads = 2});
  worker.run(stop);
}

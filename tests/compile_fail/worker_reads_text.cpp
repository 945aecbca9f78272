// What reads a message takes the message, not its body.
// expect: what reads a message takes (const Message&)
#include <paidonce/paidonce.hpp>
#include <paidonce/queue/memory_queue.hpp>
#include <paidonce/queue/payment_worker.hpp>

using namespace paidonce;

PaymentRequest<int> read_body(const std::string& body) { return {{"shop", body}, fingerprint(body), 1}; }

void work(IdempotencyGuard<MemoryStore>& guard, MemoryQueue<>& queue, Stop& stop) {
  const auto pay = [](Attempt&, int) { return 1; };
#ifdef FIXED
  PaymentWorker worker(
      guard, queue, [](const Message& message) { return read_body(message.body); }, pay);
#else
  PaymentWorker worker(guard, queue, read_body, pay);
#endif
  worker.run(stop);
}

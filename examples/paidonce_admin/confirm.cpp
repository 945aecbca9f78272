#include "confirm.hpp"

#include <iostream>
#include <string>

#include <unistd.h>

#include "exit.hpp"

namespace paidonce_admin {

void require_somebody(Agreed agreed) {
  if (agreed == Agreed::no && ::isatty(STDIN_FILENO) == 0)
    throw Refusal(
        Exit::bad_usage,
        "nobody can be asked, since standard input is no terminal, and nothing was changed: a program "
        "says --yes");
}

void confirm(Agreed agreed, std::string_view question) {
  require_somebody(agreed);
  if (agreed == Agreed::yes) return;
  std::cerr << question << "\nType yes to do it: " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  if (answer != "yes") throw Refusal(Exit::declined, "not done; nothing was changed");
}

}  // namespace paidonce_admin

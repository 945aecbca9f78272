// Read by the self test of the checks, and compiled by nobody.

// [right]
int right = 1;
// [/right]

// [wrong]
int wrong = 1;
// [/wrong]

// [open]
int open = 3;

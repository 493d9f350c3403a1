// SPDX-License-Identifier: MIT
#include "pvctl.h"

int main(int argc, char **argv)
{
	return pvctl_main(argc, argv);
}

// Package compose has a Docker Compose project for development. Its tests load it as Compose does,
// check it against the code, and start the same processes from it without Docker. It is a separate
// module, so that the product does not depend on Compose.
package compose

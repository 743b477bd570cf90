// Checks a .tlog-proof, or two checkpoints, with Go's own code of the checksum database:
//
//	check inclusion KEY PROOF-FILE LEAF-FILE
//	check consistency KEY OLD-FILE NEW-FILE HASH...
package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func hash(text string) (found tlog.Hash) {
	raw, err := base64.StdEncoding.DecodeString(text)
	fail(err)
	copy(found[:], raw)
	return found
}

func read(path string) string {
	data, err := os.ReadFile(path)
	fail(err)
	return string(data)
}

// open checks the log's signature and returns size and root.
func open(key, signed string) (int64, tlog.Hash) {
	verifier, err := note.NewVerifier(key)
	fail(err)
	opened, err := note.Open([]byte(signed), note.VerifierList(verifier))
	fail(err)
	lines := strings.Split(opened.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	fail(err)
	return size, hash(lines[2])
}

func main() {
	key := os.Args[2]
	switch os.Args[1] {
	case "inclusion":
		head, signed, _ := strings.Cut(read(os.Args[3]), "\n\n")
		lines := strings.Split(head, "\n")
		index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
		fail(err)
		var path tlog.RecordProof
		for _, line := range lines[2:] {
			path = append(path, hash(line))
		}
		size, root := open(key, signed)
		leaf := tlog.RecordHash([]byte(read(os.Args[4])))
		fail(tlog.CheckRecord(path, size, root, index, leaf))
	case "consistency":
		oldSize, oldRoot := open(key, read(os.Args[3]))
		size, root := open(key, read(os.Args[4]))
		var path tlog.TreeProof
		for _, text := range os.Args[5:] {
			path = append(path, hash(text))
		}
		fail(tlog.CheckTree(path, size, root, oldSize, oldRoot))
	}
	fmt.Println("ok")
}

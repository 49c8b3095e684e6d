package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestVocabulary_IsCurrent(t *testing.T) {
	t.Chdir("..")
	have, err := os.ReadFile("vocabulary_gen.go")
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if err := generate(&want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), string(have)); diff != "" {
		t.Errorf("run go generate ./internal/schema (-want +have):\n%s", diff)
	}
}

package demo

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCount(t *testing.T) {
	dir := write(t, map[string]string{
		"empty": "", "text": "one  two\tthree\n\nfour\r\nfive", "long": strings.Repeat("ab ", 50_000),
	})
	for name, want := range map[string]counted{
		"empty": {SHA256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		"text":  {Words: 5, Lines: 3, Bytes: 26, SHA256: "66fc1239f61fbe8726f9b4db086ee9ad8750a319c6bc3de043fe0da995f0df74"},
		"long":  {Words: 50_000, Bytes: 150_000, SHA256: "baddac0d0bcaf127644dcdf27679c801f5db090cc6d45fb34c64a5a9b295cb21"},
	} {
		got, err := count(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		hash, err := hashFile(filepath.Join(dir, name))
		if err != nil || hash != got.SHA256 {
			t.Errorf("%s: count has the hash %s, hashFile %s, %v", name, got.SHA256, hash, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestFailsFirst_AboutOneInTwenty(t *testing.T) {
	n := 0
	for i := range 10_000 {
		if failsFirst(fmt.Sprintf("dir/file%d.go", i)) {
			n++
		}
	}
	if n < 400 || n > 600 {
		t.Errorf("%d of 10000 fail; want about 500", n)
	}
}

func TestPaceOf_StaysNearThePace(t *testing.T) {
	for i := range 100 {
		if d := paceOf(fmt.Sprint(i), time.Second); d < 500*time.Millisecond || d >= 1500*time.Millisecond {
			t.Errorf("pace of %d = %s", i, d)
		}
	}
}

// Package stream has the rules of streams (chapter 50, Part I): what an append does, how long frames are kept, how patches
// make a summary, when a stream is closed. They are pure: records, command and storage time in; new records, or one coded
// error, out.
package stream

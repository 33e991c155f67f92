package main

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"strconv"

	"github.com/gopxl/beep/v2"
	"github.com/gopxl/beep/v2/wav"

	"github.com/dgx-music/storage/store"
)

var genreAndTempo = regexp.MustCompile(`^(.+?)(?: at)? (\d+) BPM`)

// parsePrompt reads the genre and the beats per minute that a prompt asks for.
func parsePrompt(prompt string) (genre string, bpm float64, err error) {
	found := genreAndTempo.FindStringSubmatch(prompt)
	if found == nil {
		return prompt, 120, nil
	}
	bpm, err = strconv.ParseFloat(found[2], 64)
	if err != nil || bpm < 20 || bpm > 400 {
		return "", 0, fmt.Errorf("%s BPM is out of range: must be 20 to 400", found[2])
	}
	return found[1], bpm, nil
}

// describe returns the metadata that a model would report.
func describe(genre string, bpm float64) store.MusicMetadata {
	music := store.MusicMetadata{
		BPM: bpm, Key: "Am", Genre: genre, Instruments: []string{"kick", "hi-hat", "bass"}, Energy: new(min(1, bpm/180)),
	}
	switch {
	case bpm < 90:
		music.Tempo = "slow"
	case bpm < 130:
		music.Tempo = "medium"
	default:
		music.Tempo = "fast"
	}
	return music
}

// loop plays a kick on every beat, a hat between the beats, and a bass note that changes with the bars. It is no model,
// but the music has the requested length, channels and tempo.
func loop(bpm float64, rate beep.SampleRate, samples int) beep.Streamer {
	beat := 60 / bpm
	notes := []float64{55, 55, 65.41, 49} // A1, A1, C2, G1
	noise := uint32(1)
	played := 0
	return beep.StreamerFunc(func(buffer [][2]float64) (n int, ok bool) {
		for n = 0; n < len(buffer) && played < samples; n++ {
			now := float64(played) / float64(rate)
			inBeat := math.Mod(now, beat)
			inHalf := math.Mod(now+beat/2, beat)
			noise = noise*1664525 + 1013904223

			kick := math.Sin(2*math.Pi*(50*inBeat+8*(1-math.Exp(-30*inBeat)))) * math.Exp(-9*inBeat)
			hat := (float64(noise>>16)/32768 - 1) * math.Exp(-60*inHalf)
			bass := math.Sin(2*math.Pi*notes[int(now/beat/4)%len(notes)]*now) * math.Exp(-3*inHalf)
			buffer[n][0] = 0.6*kick + 0.10*hat + 0.25*bass
			buffer[n][1] = 0.6*kick + 0.15*hat + 0.25*bass
			played++
		}
		return n, n > 0
	})
}

// writeWAV writes the audio of a generation.
func writeWAV(file *os.File, g store.Generation, bpm float64) error {
	format := beep.Format{SampleRate: beep.SampleRate(g.SampleRate), NumChannels: int(g.Channels), Precision: 2}
	samples := int(g.DurationSeconds * float64(g.SampleRate))
	return wav.Encode(file, loop(bpm, format.SampleRate, samples), format)
}

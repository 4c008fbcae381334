import { playHistories } from './histories-suite.ts'
import { bare, real } from './history-files.ts'

playHistories(bare, 150)
playHistories(real, 150)

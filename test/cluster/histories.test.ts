import { playHistories } from './histories-suite.ts'

playHistories('random histories of builds and migrations', 12)
